"""PyPI `onvif-zeep-async` as a client of a camera: `python zeep_async.py PORT USER PASSWORD`. Prints what it saw as one line of JSON."""
import asyncio
import datetime
import json
import sys

from onvif import ONVIFCamera


async def main(port, user, password):
    seen = {}
    camera = ONVIFCamera("127.0.0.1", port, user, password, adjust_time=True)
    await camera.update_xaddrs()
    try:
        device = await camera.create_devicemgmt_service()
        seen["model"] = (await device.GetDeviceInformation()).Model
        seen["capabilities"] = bool((await device.GetCapabilities({"Category": "All"})).PTZ)
        seen["interfaces"] = len(await device.GetNetworkInterfaces())
        seen["host"] = (await device.GetHostname()).Name
        seen["scopes"] = len(await device.GetScopes())
        seen["dns"] = (await device.GetDNS()).FromDHCP is not None
        seen["gateway"] = await device.GetNetworkDefaultGateway() is not None
        seen["protocols"] = sorted(protocol.Name for protocol in await device.GetNetworkProtocols())
        media = await camera.create_media_service()
        profiles = await media.GetProfiles()
        seen["profiles"] = [profile.token for profile in profiles]
        size = profiles[0].VideoEncoderConfiguration.Resolution
        seen["size"] = [size.Width, size.Height]
        token = profiles[0].token
        setup = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
        seen["stream"] = (await media.GetStreamUri({"ProfileToken": token, "StreamSetup": setup})).Uri
        seen["snapshot"] = await camera.get_snapshot_uri(token)
        picture = await camera.get_snapshot(token)
        seen["picture"] = (picture or b"")[:2] == b"\xff\xd8"
        await media.GetVideoSources()
        await media.GetVideoEncoderConfigurationOptions({"ProfileToken": token})
        ptz = await camera.create_ptz_service()
        configuration = profiles[0].PTZConfiguration.token
        seen["nodes"] = [node.token for node in await ptz.GetNodes()]
        options = await ptz.GetConfigurationOptions({"ConfigurationToken": configuration})
        seen["fastest"] = options.Spaces.ContinuousPanTiltVelocitySpace[0].XRange.Max
        before = (await ptz.GetStatus({"ProfileToken": token})).Position.PanTilt.x
        velocity = {"PanTilt": {"x": 0.5, "y": 0.0}}
        await ptz.ContinuousMove({"ProfileToken": token, "Velocity": velocity, "Timeout": datetime.timedelta(seconds=20)})
        await asyncio.sleep(0.7)
        await ptz.Stop({"ProfileToken": token, "PanTilt": True, "Zoom": True})
        stopped = (await ptz.GetStatus({"ProfileToken": token})).Position.PanTilt.x
        await asyncio.sleep(0.3)
        seen["moved"] = stopped > before
        seen["stands"] = (await ptz.GetStatus({"ProfileToken": token})).Position.PanTilt.x == stopped
        own = await ptz.SetPreset({"ProfileToken": token, "PresetName": "gate"})
        presets = await ptz.GetPresets({"ProfileToken": token})
        seen["presets"] = len(presets)
        await ptz.GotoPreset({"ProfileToken": token, "PresetToken": own})
        await ptz.RemovePreset({"ProfileToken": token, "PresetToken": own})
        seen["removed"] = len(await ptz.GetPresets({"ProfileToken": token})) == len(presets) - 1
        tours = await ptz.GetPresetTours({"ProfileToken": token})
        seen["tours"] = len(tours)
        await ptz.OperatePresetTour({"ProfileToken": token, "PresetTourToken": tours[0].token, "Operation": "Start"})
        running = await ptz.GetPresetTours({"ProfileToken": token})
        seen["touring"] = running[0].Status.State
        await ptz.OperatePresetTour({"ProfileToken": token, "PresetTourToken": tours[0].token, "Operation": "Stop"})
        manager = await camera.create_pullpoint_manager(datetime.timedelta(seconds=60), lambda: None)
        await manager.get_service().PullMessages({"MessageLimit": 10, "Timeout": datetime.timedelta(seconds=1)})
        await manager.shutdown()
        seen["events"] = True
        seen["reboot"] = await device.SystemReboot()
    finally:
        await camera.close()
    return seen


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(int(sys.argv[1]), *sys.argv[2:4]))))
