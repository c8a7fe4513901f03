// npm `onvif` as a client of a camera: `node npm.js FOLDER PORT USER PASSWORD`. Prints what it saw as one line of JSON.
const [folder, port, username, password] = process.argv.slice(2);
const { Cam } = require(`${folder}/onvif`);

const seen = {};
const cam = new Cam({ hostname: '127.0.0.1', port: Number(port), username, password, timeout: 10000 }, async (error) => {
  if (error) return fail(error);
  const call = (name, ...args) => new Promise((resolve, reject) => {
    cam[name](...args, (why, data) => (why ? reject(new Error(`${name}: ${why.message || why}`)) : resolve(data)));
  });
  try {
    const device = await call('getDeviceInformation');
    seen.model = device.model;
    seen.services = Object.keys(cam.uri).sort();
    await call('getCapabilities');
    seen.pull = cam.capabilities.events.WSPullPointSupport;
    seen.profiles = (await call('getProfiles')).map((profile) => profile.$.token);
    seen.size = [cam.activeSource.width, cam.activeSource.height];
    seen.stream = (await call('getStreamUri', { protocol: 'RTSP' })).uri;
    seen.snapshot = (await call('getSnapshotUri')).uri;
    seen.interfaces = [].concat(await call('getNetworkInterfaces')).length;
    seen.nodes = Object.keys(await call('getNodes'));
    const before = (await call('getStatus', {})).position;
    await call('continuousMove', { x: 0.5, y: 0, zoom: 0 });
    await new Promise((resolve) => setTimeout(resolve, 700));
    await call('stop', { panTilt: true, zoom: true });
    const stopped = (await call('getStatus', {})).position;
    await new Promise((resolve) => setTimeout(resolve, 300));
    const later = (await call('getStatus', {})).position;
    seen.moved = stopped.x > before.x;
    seen.stands = later.x === stopped.x;
    await call('setPreset', { presetName: 'gate' });
    const presets = await call('getPresets');
    const own = Object.values(presets).find((preset) => preset.name === 'gate');
    seen.presets = Object.keys(presets).length;
    await call('gotoPreset', { preset: own.$.token });
    await call('removePreset', { presetToken: own.$.token });
    seen.removed = Object.keys(await call('getPresets')).length === seen.presets - 1;
    await call('createPullPointSubscription');
    seen.reboot = await call('systemReboot');
    console.log(JSON.stringify(seen));
    process.exit(0);
  } catch (why) {
    fail(why);
  }
});

function fail(why) {
  console.log(JSON.stringify({ failed: String(why && why.message || why), ...seen }));
  process.exit(1);
}
