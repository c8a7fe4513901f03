// rtsp-streaming-server: relays what is published by RTSP at PUBLISH to clients at CLIENT, who need the login if one is given, and prints
// `listening`.
//
// node node_server.js NODE_MODULES PUBLISH CLIENT FIRST_RTP_PORT [USER PASSWORD]
const path = require("path");

const [modules, publish, client, first, user, password] = process.argv.slice(2);
const RtspServer = require(path.join(modules, "rtsp-streaming-server")).default;
const authentication = async (name, word) => name === user && word === password;
new RtspServer({
    serverPort: Number(publish),
    clientPort: Number(client),
    rtpPortStart: Number(first),
    rtpPortCount: 100,
    clientServerHooks: user ? { authentication } : {},
}).start().then(() => console.log("listening"), (error) => {
    console.error(error);
    process.exit(1);
});
