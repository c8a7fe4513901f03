// Texts of the login.

/** @type {Record<import("/parts/text.js").Language, import("/parts/text.js").Texts>} */
const texts = {
  en: {
    "login.again": "The session has ended. Log in to go on; what you typed is kept.",
    "login.forgotten": "Forgotten? Hold the reset button of the device: it then asks for a new password, and forgets its other passwords.",
    "login.go": "Log in",
    "login.password": "Password",
    "error.too_many_guesses": "Too many wrong passwords. Wait {seconds} s, then try again.",
    "error.unclaimed": "The device has no password any more.",
    "error.wrong_password": "This is not the password. Upper and lower case differ.",
  },
  zh: {
    "login.again": "会话已结束。请登录后继续，已填写的内容不会丢失。",
    "login.forgotten": "忘记密码？按住设备的复位键：设备将要求设置新密码，并清除其他已保存的密码。",
    "login.go": "登录",
    "login.password": "密码",
    "error.too_many_guesses": "密码错误次数过多，请等待 {seconds} 秒后重试。",
    "error.unclaimed": "设备的密码已被清除。",
    "error.wrong_password": "密码错误。请注意大小写。",
  },
};

export default texts;
