// The network and the Wi-Fi: what is set up, networks in reach, and a network that is joined on trial.

import { call } from "/parts/api.js";
import { makeButton } from "/parts/button.js";
import { open } from "/parts/dialog.js";
import { fill, make, makeBadge, makeFacts, makePanel } from "/parts/dom.js";
import { buildForm } from "/parts/form.js";
import { explainTold, makeNotice, say } from "/parts/notice.js";
import { buildTable } from "/parts/table.js";
import { hasText, register, t } from "/parts/text.js";
import { poll } from "../poll.js";
import texts from "../texts/network.js";

register(texts);

const LOOK_SECONDS = 3;
const BARS = 4;

/** @type {import("../page.js").Page} */
const page = {
  name: "network",
  async show(element, context) {
    /** @type {Map<number, ReturnType<typeof buildWifi>>} */
    const wifis = new Map();
    const wires = make("div", { className: "page" });
    const look = async (/** @type {import("/parts/api.js").Options} */ options = { signal: context.signal }) => {
      /** @type {{ channels: any[], trial_seconds: number }} */
      const { channels, trial_seconds: seconds } = await call("GET", "/wifi", undefined, options);
      for (const seen of channels) {
        let wifi = wifis.get(seen.channel);
        if (!wifi) {
          wifi = buildWifi(seen.channel, channels.length > 1, context, look);
          wifis.set(seen.channel, wifi);
          wires.before(wifi.element);
        }
        wifi.show(seen, seconds);
      }
    };
    element.append(wires);
    await look();
    showWires(wires, await call("GET", "/network", undefined, { signal: context.signal }));
    poll(context, LOOK_SECONDS, look);
  },
};

export default page;

/**
 * The Wi-Fi of a channel.
 * @param {number} channel
 * @param {boolean} isOneOfMany
 * @param {import("../page.js").Context} context
 * @param {() => Promise<void>} look looks again at once
 */
function buildWifi(channel, isOneOfMany, context, look) {
  const path = (/** @type {string} */ deed) => `/wifi${deed}?channel=${channel}`;
  const [state, trial, found] = [make("div"), make("div", { role: "status" }), make("div")];
  const left = make("strong");
  let shown = "";
  let seconds = 0;
  /** @type {any} */
  let used = null;

  const find = makeButton(t("network.find"), async () => {
    const { networks } = await call("POST", path("/scan"), undefined, { signal: context.signal });
    fill(found, networks.length ? make("ul", { className: "networks" }, ...networks.map(makeRow)) : makeNotice("info", t("network.no_networks")));
  }, { kind: "go" });
  const other = makeButton(t("network.hidden"), () => openJoin(null));

  const makeRow = (/** @type {any} */ network) => {
    const { ssid, signal, security, is_known: isKnown, is_text: isText } = network;
    const marks = [used?.ssid === ssid && makeBadge("good", t("network.current")), isKnown && makeBadge("off", t("network.known"))];
    return make("li", {},
      make("span", { className: "network-name" }, make("bdi", { textContent: ssid }), ...marks),
      make("span", { className: "network-how" }, makeSignal(signal), ` · ${named(security)}`),
      isText ? makeButton(t("network.join"), () => openJoin(network), { title: ssid })
        : make("span", { className: "hint", textContent: t("network.no_text") }));
  };

  const openJoin = (/** @type {any} */ network) => {
    const isOpen = network?.security === "OPEN";
    const form = buildForm({
      fields: [
        ...(network ? [] : [/** @type {const} */ ({ name: "ssid", kind: "text", label: t("network.name"), longest: 32 })]),
        ...(isOpen ? [] : [/** @type {const} */ ({ name: "password", kind: "password", label: t("network.password"), autocomplete: "off",
          hint: t(network?.is_known ? "network.password_known" : "network.password_hint"), optional: true, longest: 64 })]),
      ],
      verify: ({ password = "" }) => (!fits(password) ? { password: t("network.password_wrong") } : {}),
      submit: t("network.join"),
      send: async ({ ssid = network?.ssid, password }) => {
        // A network that is known goes on with its password, any other one without a password is open.
        const body = { ssid, ...(password || !network?.is_known ? { password: password ?? "" } : {}) };
        const { trial_seconds: isTried } = await call("PUT", path(""), body);
        dialog.close();
        say(t("network.joining"));
        fill(found, makeNotice(isTried ? "info" : "warn", t(isTried ? "network.leaving" : "network.stays", { ssid })));
        await look().catch(() => {});
      },
    });
    const { dialog } = open(network ? t("network.join_title", { ssid: network.ssid }) : t("network.join_other"),
      make("p", { textContent: t("network.trial_hint", { seconds }) }), form.element);
  };

  const decide = (/** @type {string} */ deed, /** @type {string} */ done) => async () => {
    await call("POST", path(deed));
    say(t(done));
    fill(found);
    await look();
  };
  const keep = makeButton(t("network.keep"), decide("/confirm", "network.kept"), { kind: "go" });
  const back = makeButton(t("network.back"), decide("/back", "network.back_asked"));

  const element = makePanel(isOneOfMany ? t("network.wifi_of", { channel }) : t("network.wifi"),
    trial, state, make("div", { className: "buttons" }, find, other), found);
  return {
    element,
    show: (/** @type {any} */ seen, /** @type {number} */ trialSeconds) => {
      seconds = trialSeconds;
      used = seen.state;
      left.textContent = t("network.left", { seconds: seen.trial?.seconds_left ?? 0 });
      const now = JSON.stringify([seen.state, seen.error, seen.trial?.ssid, Boolean(seen.trial)]);
      if (now === shown) return;
      shown = now;
      fill(state, makeState(seen));
      if (!seen.trial) fill(trial);
      else if (!trial.childElementCount) {
        const { ssid } = seen.trial;
        const text = ssid === null ? t("network.on_trial_unnamed") : t("network.on_trial", { ssid });
        fill(trial, make("div", { className: "notice warn" }, make("p", {}, text, " ", left), make("div", { className: "buttons" }, keep, back)));
      }
    },
  };
}

/**
 * Whether it can be the password of a network; a key of WEP has five bytes.
 * @param {string} password
 */
function fits(password) {
  const { length } = new TextEncoder().encode(password);
  return length === 0 || length === 5 || (length >= 8 && length <= 64);
}

/** @param {any} seen */
function makeState({ state, error }) {
  if (error) return makeNotice("bad", explainTold(error));
  if (!state.is_on) return makeNotice("info", t("network.off"));
  const { ssid, status, security, signal, interface: { ip, mac } } = state;
  const code = status.replaceAll(" ", "_");
  // Cameras have words of their own.
  const word = hasText(`network.state_${code}`) ? t(`network.state_${code}`) : status;
  const kind = status === "connected" ? "good" : status === "wrong password" || status === "not found" ? "bad" : "warn";
  return makeFacts([
    [t("network.state"), makeBadge(kind, word)],
    [t("network.name"), make("bdi", { textContent: ssid || t("network.none") })],
    ...(signal === null ? [] : [/** @type {[string, Node]} */ ([t("network.signal"), makeSignal(signal)])]),
    ...(security ? [/** @type {[string, string]} */ ([t("network.security"), named(security)])] : []),
    ...(ip ? [/** @type {[string, string]} */ ([t("network.address"), ip])] : []),
    ...(mac ? [/** @type {[string, string]} */ ([t("network.mac"), mac])] : []),
  ]);
}

/** @param {string} security */
function named(security) {
  return security === "OPEN" ? t("network.open") : security;
}

/**
 * How strong a signal is, as bars and in figures: in dBm below zero, else of a hundred.
 * @param {number} signal
 */
function makeSignal(signal) {
  const share = signal < 0 ? (signal + 90) / 45 : signal / 100;
  const bars = Math.max(1, Math.min(BARS, Math.ceil(share * BARS)));
  const text = signal < 0 ? `${signal} dBm` : `${signal} %`;
  return make("span", { className: "signal" },
    make("span", { "aria-hidden": true, textContent: "▮".repeat(bars) + "▯".repeat(BARS - bars) }), ` ${text}`);
}

/**
 * @param {HTMLElement} element
 * @param {{ interfaces: any[], cameras: any[] }} network
 */
function showWires(element, { interfaces, cameras }) {
  fill(element,
    makePanel(t("network.device"), buildInterfaces(interfaces), make("p", { className: "hint", textContent: t("network.shown_only") })),
    ...cameras.map((/** @type {any} */ camera) => makePanel(t("network.camera", { channel: camera.channel }),
      camera.error ? makeNotice("bad", explainTold(camera.error)) : buildInterfaces(camera.interfaces))));
}

/** @param {any[]} interfaces */
function buildInterfaces(interfaces) {
  return buildTable(interfaces, [
    { name: "name", label: t("network.interface") },
    { name: "link", label: t("network.link"), show: ({ link }) =>
      (link === null ? "–" : makeBadge(link ? "good" : "off", t(link ? "network.link_up" : "network.link_down"))) },
    { name: "ip", label: t("network.address"), show: ({ ip, netmask }) => (ip && netmask ? `${ip} / ${netmask}` : ip || "–") },
    { name: "dhcp", label: t("network.dhcp"), show: ({ dhcp, ip }) => (ip ? t(dhcp ? "network.by_dhcp" : "network.fixed") : "–") },
    { name: "gateway", label: t("network.gateway"), show: ({ gateway }) => gateway || "–" },
    { name: "name_servers", label: t("network.dns"), show: (row) => (row.ip && row.name_servers.join(", ")) || "–" },
    { name: "mac", label: t("network.mac"), show: ({ mac }) => mac || "–" },
  ], { empty: t("network.no_interfaces") });
}
