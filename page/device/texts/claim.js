// Texts of the first visit.

/** @type {Record<import("/parts/text.js").Language, import("/parts/text.js").Texts>} */
const texts = {
  en: {
    "claim.again": "Password, once more",
    "claim.differ": "The two are not the same.",
    "claim.fair": "Fair: a longer one is better",
    "claim.go": "Set the password",
    "claim.long": "At most 128 characters.",
    "claim.old": "Present password",
    "claim.password": "New password",
    "claim.rule": "8 characters or more. Blanks and characters of any language count.",
    "claim.short": "At least 8 characters.",
    "claim.strength": "Strength",
    "claim.strong": "Strong",
    "claim.text": "This device has no password yet. Until it has one, it does nothing else. Note the password: without it, only the reset button helps.",
    "claim.weak": "Weak: others guess it",
  },
  zh: {
    "claim.again": "再次输入密码",
    "claim.differ": "两次输入的密码不一致。",
    "claim.fair": "一般：更长的密码更安全",
    "claim.go": "设置密码",
    "claim.long": "最多 128 个字符。",
    "claim.old": "当前密码",
    "claim.password": "新密码",
    "claim.rule": "至少 8 个字符，可使用空格和任何语言的字符。",
    "claim.short": "至少需要 8 个字符。",
    "claim.strength": "强度",
    "claim.strong": "强",
    "claim.text": "此设备尚未设置密码，设置之前不提供其他功能。请记好密码：忘记后只能用复位键恢复。",
    "claim.weak": "弱：容易被猜到",
  },
};

export default texts;
