// live555's RTSP server: serves raw streams as rtsp://127.0.0.1:PORT/main, each to its end, and prints `listening PORT`. With a
// user name and a password it asks for a Digest login, the only one it knows.
//
// live555-server PORT VIDEO.h264|VIDEO.h265 SOUND.aac|SOUND.wav [USER PASSWORD]
#include <cstdio>
#include <cstdlib>
#include <string>

#include <BasicUsageEnvironment.hh>
#include <GroupsockHelper.hh>
#include <liveMedia.hh>

static ServerMediaSubsession *subsession(UsageEnvironment &environment, const std::string &path) {
    const std::string kind = path.substr(path.rfind('.') + 1);
    if (kind == "h264") {
        return H264VideoFileServerMediaSubsession::createNew(environment, path.c_str(), False);
    }
    if (kind == "h265") {
        return H265VideoFileServerMediaSubsession::createNew(environment, path.c_str(), False);
    }
    if (kind == "aac") {
        return ADTSAudioFileServerMediaSubsession::createNew(environment, path.c_str(), False);
    }
    return WAVAudioFileServerMediaSubsession::createNew(environment, path.c_str(), False);
}

int main(int count, char **arguments) {
    if (count != 4 && count != 6) {
        fprintf(stderr, "usage: live555-server PORT VIDEO SOUND [USER PASSWORD]\n");
        return 2;
    }
    UsageEnvironment *environment = BasicUsageEnvironment::createNew(*BasicTaskScheduler::createNew());
    // A larger picture would be cut.
    OutPacketBuffer::maxSize = 1 << 20;
    ReceivingInterfaceAddr = SendingInterfaceAddr = htonl(INADDR_LOOPBACK);
    UserAuthenticationDatabase *users = nullptr;
    if (count == 6) {
        users = new UserAuthenticationDatabase("live555");
        users->addUserRecord(arguments[4], arguments[5]);
    }
    RTSPServer *server = RTSPServer::createNew(*environment, Port(atoi(arguments[1])), users);
    if (server == nullptr) {
        fprintf(stderr, "live555-server: %s\n", environment->getResultMsg());
        return 1;
    }
    ServerMediaSession *session = ServerMediaSession::createNew(*environment, "main");
    for (int track = 2; track <= 3; track++) {
        session->addSubsession(subsession(*environment, arguments[track]));
    }
    server->addServerMediaSession(session);
    printf("listening %s\n", arguments[1]);
    fflush(stdout);
    environment->taskScheduler().doEventLoop();
}
