"""Who may see the device's page: the first visit, the login, and the end of a session."""
import os
import signal
import urllib.request

from peers.devicepage import PASSWORD, Device, Page
from peers.process import Failed, free_port, wait_for

from . import add

# Puts the form that changes the password into the page.
FORM = """
    return Promise.all([import('/newpassword.js'), import('/parts/api.js')]).then(([{ buildNewPassword }, { call }]) => {
        const send = ({ old, new: chosen }) => call('PUT', '/password', { old, new: chosen }).then(() => 'done as asked');
        document.querySelector('.page').append(buildNewPassword({ submit: 'Change', old: true, send }).element);
    });
"""
TAB, ENTER = "\ue004", "\ue007"
LOG_OUT = "return fetch('/api/v1/session', { method: 'DELETE' }).then((answer) => answer.status)"


def begins_with_a_password(stack, folder):
    """A new device asks for its password, says what is wrong with one, and takes it as it was typed."""
    device = Device(stack, folder, password=None)
    page = Page(stack, folder, device)
    page.shown("claim")
    for first, second, answer in (("short", "short", "At least 8 characters"), (PASSWORD, PASSWORD.strip("x") + " ", "The two are not the same")):
        page.enter("new", first)
        page.enter("again", second)
        page.press_button("Set the password")
        page.says(answer)
    for chosen, word in (("aaaaaaaa", "Weak"), ("wintergarten", "Fair"), (PASSWORD, "Strong")):
        page.enter("new", chosen)
        page.says(word)
    page.look("claim")
    page.enter("again", PASSWORD)
    page.press_button("Set the password")
    page.wait("menu", "return Boolean(document.querySelector('nav a[aria-current]'))")
    if PASSWORD in device.process.output():
        raise Failed("the log tells the password")

    page.press_button("Log out") if page.script("return document.querySelector('nav').checkVisibility()") else page.script(LOG_OUT)
    page.open(f"{device.url}/")
    page.shown("login")
    page.enter("password", PASSWORD.lower())
    page.press_button("Log in")
    page.says("This is not the password")
    page.look("login")
    page.enter("password", PASSWORD)
    page.press_button("Log in")
    page.wait("menu", "return Boolean(document.querySelector('nav a[aria-current]'))")
    if complaints := page.complaints():
        raise Failed(f"the console says {complaints[0]}")


def goes_on_where_it_was(stack, folder):
    """After the end of a session nothing that was typed is lost; the language is kept; a device that is lost is told of."""
    device = Device(stack, folder)
    page = Page(stack, folder, device)
    page.script(FORM)
    for name, text in (("old", PASSWORD), ("new", PASSWORD[::-1]), ("again", PASSWORD[::-1])):
        page.enter(name, text)
    page.script(LOG_OUT)
    page.press_button("Change")
    page.says("The session has ended")
    page.enter("password", "no such word")
    page.press_button("Log in")
    page.says("This is not the password")
    page.enter("password", PASSWORD)
    page.press_button("Log in")
    page.says("done as asked")
    device.password = PASSWORD[::-1]

    # The first stop of the key Tab leads past the menu; what follows it is the menu.
    page.script("document.querySelector('.skip').focus()")
    press(page, ENTER)
    page.wait("content by the keyboard", "return document.activeElement === document.querySelector('h1')")
    page.script("document.querySelector('nav a[href=\"#/overview\"]').focus()")
    press(page, TAB)
    press(page, ENTER)
    page.shown("live")

    page.press_button("中文")
    page.says("退出登录")
    page.open(f"{device.url}/")
    page.says("退出登录")
    if (language := page.script("return document.documentElement.lang")) != "zh-CN":
        raise Failed(f"the language of the page is {language}")
    if missing := page.missing():
        raise Failed(f"texts are missing: {missing}")

    banner = "return document.querySelector('.lost').checkVisibility()"
    os.kill(device.process.pid, signal.SIGSTOP)
    try:
        # The page asks every few seconds, and when somebody comes back to it.
        page.script("document.dispatchEvent(new Event('visibilitychange'))")
        page.wait("word of the lost device", banner, seconds=20)
    finally:
        os.kill(device.process.pid, signal.SIGCONT)
    wait_for("end of that word", lambda: not page.script(banner), 20)


def moves_to_another_address(stack, folder):
    """The page leads to its new address, and the change holds once it was opened there."""
    device = Device(stack, folder)
    page = Page(stack, folder, device)
    page.go("system")
    page.enter("web.listen", "nowhere at all")
    page.press_button("Move the page")
    page.wait("word of the wrong address", "return document.getElementsByName('web.listen')[0].hasAttribute('aria-invalid')")
    new = f"127.0.0.1:{free_port()}"
    page.enter("web.listen", new)
    page.press_button("Move the page")
    page.says("This page moves")
    page.look("moving")
    page.press_button(f"http://{new}")
    page.says("The new address of this page holds")
    if (host := page.script("return location.host")) != new:
        raise Failed(f"the page is at {host}")
    with urllib.request.urlopen(f"http://{new}/healthz", timeout=10) as answer:
        answer.read()
    if page.script("return fetch('/api/v1/web').then((answer) => answer.json())")["trial"] is not None:
        raise Failed("the new address is still on trial")


def press(page, key):
    page.key_down(key)
    page.key_up(key)


add("page access: a new device begins with a password", begins_with_a_password)
add("page access: a session that ended goes on where it was", goes_on_where_it_was)
add("page access: the page moves to another address", moves_to_another_address)
