// Texts of the page's own address.

/** @type {Record<import("/parts/text.js").Language, import("/parts/text.js").Texts>} */
const texts = {
  en: {
    "address.https": "Encrypted (HTTPS)",
    "address.https_hint": "The device makes its own certificate: the browser warns of it once.",
    "address.listen": "Address and port of this page",
    "address.listen_hint": "lan:80 is each local network, eth0:80 one of them, 192.168.1.10:8080 one address.",
    "address.save": "Move the page",
    "address.saved": "Saved. Open the page at its new address to keep it.",
    "address.text": "A change holds once the page was opened at the new address within 60 seconds. Otherwise the present address comes back.",
    "address.theirs": "Nothing was changed: the settings of somebody else hold.",
    "address.title": "This page",
  },
  zh: {
    "address.https": "加密访问 (HTTPS)",
    "address.https_hint": "设备使用自签名证书，浏览器首次访问时会提示警告。",
    "address.listen": "本页面的地址和端口",
    "address.listen_hint": "lan:80 表示所有局域网，eth0:80 表示其中一个网口，192.168.1.10:8080 表示一个地址。",
    "address.save": "更改页面地址",
    "address.saved": "已保存。请在新地址打开页面以确认更改。",
    "address.text": "更改后须在 60 秒内用新地址打开页面，否则自动恢复当前地址。",
    "address.theirs": "未作更改，保留他人的设置。",
    "address.title": "本页面",
  },
};

export default texts;
