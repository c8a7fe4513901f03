// The texts of changes of the settings.

/** @type {Record<import("./text.js").Language, import("./text.js").Texts>} */
const texts = {
  en: {
    "settings.outdated": "Somebody else changed the settings",
    "settings.nothing_saved": "This was changed since you opened the page. Nothing of yours is saved yet.",
    "settings.much": "What was changed is not known any more. Look at the page again before you save.",
    "settings.same": "Nothing is different, only the file was written.",
    "settings.key": "Setting",
    "settings.before": "You saw",
    "settings.now": "Now",
    "settings.mine": "Yours",
    "settings.theirs": "Take theirs",
    "settings.again": "Save mine all the same",
    "settings.secret": "(secret)",
    "settings.unset": "(not set)",
    "error.disk_full": "The disk is full. Nothing was changed: make room and try again.",
    "error.read_only": "The disk is read-only. Nothing was changed.",
    "error.not_written": "The settings cannot be written. Nothing was changed.",
    "error.busy": "Another program changes the settings. Nothing was changed: try again.",
    "error.unreadable": "The file of the settings cannot be read. Mend it on the device, or restore a configuration.",
    "error.not_settable": "This can be set only in the device's own file, not on this page.",
  },
  zh: {
    "settings.outdated": "其他人修改了设置",
    "settings.nothing_saved": "打开此页面后，以下设置已被修改。您的修改尚未保存。",
    "settings.much": "已无法得知修改了哪些内容。保存前请重新查看此页面。",
    "settings.same": "没有不同之处，只是文件被重新写入。",
    "settings.key": "设置项",
    "settings.before": "您看到的值",
    "settings.now": "当前值",
    "settings.mine": "您的值",
    "settings.theirs": "采用对方的修改",
    "settings.again": "仍然保存我的修改",
    "settings.secret": "（保密）",
    "settings.unset": "（未设置）",
    "error.disk_full": "存储空间已满，未作任何修改。请清理空间后重试。",
    "error.read_only": "存储为只读，未作任何修改。",
    "error.not_written": "无法写入设置，未作任何修改。",
    "error.busy": "另一个程序正在修改设置，未作任何修改。请重试。",
    "error.unreadable": "无法读取设置文件。请在设备上修复，或恢复配置。",
    "error.not_settable": "此项只能在设备自身的文件中设置，不能在此页面设置。",
  },
};

export default texts;
