// Texts of the log.

/** @type {Record<import("/parts/text.js").Language, import("/parts/text.js").Texts>} */
const texts = {
  en: {
    "log.newest": "Newest lines",
    "log.lines": "Lines of the log",
    "log.shown": "Shown here",
    "log.kept": "Recorded by the device",
    "log.saved": "The device records this from now on.",
    "log.download": "Download",
    "log.pause": "Pause",
    "log.go_on": "Go on",
    "log.level.error": "Error",
    "log.level.warn": "Warning",
    "log.level.info": "Info",
    "log.level.debug": "Debug",
    "log.level.trace": "Trace",
  },
  zh: {
    "log.newest": "最新日志",
    "log.lines": "日志内容",
    "log.shown": "显示级别",
    "log.kept": "设备记录级别",
    "log.saved": "设备已按此级别记录。",
    "log.download": "下载",
    "log.pause": "暂停",
    "log.go_on": "继续",
    "log.level.error": "错误",
    "log.level.warn": "警告",
    "log.level.info": "信息",
    "log.level.debug": "调试",
    "log.level.trace": "跟踪",
  },
};

export default texts;
