"""PyPI `onvif-python` as a client of a camera: `python python_onvif.py PORT USER PASSWORD`. Prints what it saw as one line of JSON."""
import json
import sys
import time

from onvif import ONVIFClient


def main(port, user, password):
    seen = {}
    client = ONVIFClient("127.0.0.1", port, user, password, timeout=10)
    device = client.devicemgmt()
    seen["model"] = device.GetDeviceInformation().Model
    seen["capabilities"] = bool(device.GetCapabilities(Category="All").PTZ)
    seen["interfaces"] = len(device.GetNetworkInterfaces())
    media = client.media()
    profiles = media.GetProfiles()
    seen["profiles"] = [profile.token for profile in profiles]
    size = profiles[0].VideoEncoderConfiguration.Resolution
    seen["size"] = [size.Width, size.Height]
    token = profiles[0].token
    setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
    seen["stream"] = media.GetStreamUri(ProfileToken=token, StreamSetup=setup).Uri
    seen["snapshot"] = media.GetSnapshotUri(ProfileToken=token).Uri
    media2 = client.media2()
    seen["profiles2"] = [profile.token for profile in media2.GetProfiles(Type=["All"])]
    seen["stream2"] = media2.GetStreamUri(Protocol="RTSP", ProfileToken=token)
    encodings = media2.GetVideoEncoderConfigurations()
    seen["encoding"] = encodings[0].Encoding
    ptz = client.ptz()
    seen["nodes"] = [node.token for node in ptz.GetNodes()]
    before = ptz.GetStatus(ProfileToken=token).Position.PanTilt.x
    ptz.ContinuousMove(ProfileToken=token, Velocity={"PanTilt": {"x": 0.5, "y": 0.0}})
    time.sleep(0.7)
    ptz.Stop(ProfileToken=token, PanTilt=True, Zoom=True)
    stopped = ptz.GetStatus(ProfileToken=token).Position.PanTilt.x
    time.sleep(0.3)
    seen["moved"] = stopped > before
    seen["stands"] = ptz.GetStatus(ProfileToken=token).Position.PanTilt.x == stopped
    own = ptz.SetPreset(ProfileToken=token, PresetName="gate")
    presets = ptz.GetPresets(ProfileToken=token)
    seen["presets"] = len(presets)
    ptz.GotoPreset(ProfileToken=token, PresetToken=own)
    ptz.RemovePreset(ProfileToken=token, PresetToken=own)
    seen["removed"] = len(ptz.GetPresets(ProfileToken=token)) == len(presets) - 1
    client.events().GetEventProperties()
    seen["reboot"] = device.SystemReboot()
    return seen


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), *sys.argv[2:4])))
