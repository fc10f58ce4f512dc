// A page of a live desk stays logged in while it is open and somebody works in front of it (docs/sessions.md).
//
// It says twice a minute that it is there, and whether it was touched since the last time. Its tokens are thus renewed
// before anybody waits for them, and it says in time that it ends for want of use.
"use strict";

(() => {
    const EVERY = 30_000;
    const WARN_SECONDS = 300;
    const box = document.getElementById("presence");
    const text = box.querySelector("p");
    let used = false;

    for (const kind of ["pointerdown", "pointermove", "keydown", "wheel", "touchmove"]) {
        addEventListener(kind, () => { used = true; }, { passive: true });
    }

    function show(left, forGood) {
        box.hidden = left > WARN_SECONDS;
        if (box.hidden) {
            return;
        }
        const minutes = Math.max(1, Math.round(left / 60));
        const said = forGood
            ? `This session is as long as one may be: you will be logged out in ${minutes} min. Finish what you are doing.`
            : `Nobody has used this page for a while. You will be logged out in ${minutes} min.`;
        // Said once a minute and not with every look at the clock, since it is read out.
        if (text.textContent !== said) {
            text.textContent = said;
        }
        box.querySelector("button").hidden = forGood;
    }

    async function tell() {
        const touched = used;
        used = false;
        try {
            const answer = await fetch("/session/presence", {
                method: "POST",
                headers: touched ? {} : { Unattended: "true" },
            });
            if (answer.status === 401) {
                // Not to the login: where the realm still knows the browser, that would log in whoever sits there.
                location.assign("/signed-out?here=idle");
            } else if (answer.ok) {
                const found = await answer.json();
                show(found.seconds_left, found.for_good);
            } else {
                used = used || touched;
            }
        } catch {
            // Away for a moment: the next time says it as well.
            used = used || touched;
        }
    }

    box.querySelector("button").addEventListener("click", () => { used = true; tell(); });
    setInterval(tell, EVERY);
    // A computer that slept, or a tab that was in the back, looks at once.
    document.addEventListener("visibilitychange", () => { if (!document.hidden) { tell(); } });
})();
