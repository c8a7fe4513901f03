// Texts of the login.

/** @type {Record<import("/parts/text.js").Language, import("/parts/text.js").Texts>} */
const texts = {
  en: {
    "login.again": "The session has ended. Log in to go on; what you typed is kept.",
    "login.forgotten": "Forgotten? Hold the reset button of the device: it then asks for a new password, and forgets its other passwords.",
    "login.go": "Log in",
    "login.password": "Password",
  },
  zh: {
    "login.again": "会话已结束。请登录后继续，已填写的内容不会丢失。",
    "login.forgotten": "忘记密码？按住设备的复位键：设备将要求设置新密码，并清除其他已保存的密码。",
    "login.go": "登录",
    "login.password": "密码",
  },
};

export default texts;
