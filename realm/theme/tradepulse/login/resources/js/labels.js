// Some of Keycloak's pages have labels that name no field, and a heading that leaves a level out. Whoever hears a page
// instead of seeing it needs both (WCAG 2.2, 1.3.1 and 4.1.2), so they are joined here.
function join() {
    for (const label of document.querySelectorAll("label[for]")) {
        if (label.control) {
            continue;
        }
        const fields = label.closest(".pf-v5-c-form__group")?.querySelectorAll("input:not([type=hidden])") ?? [];
        if (fields.length === 1 && fields[0].id) {
            label.htmlFor = fields[0].id;
        }
    }
    for (const heading of document.querySelectorAll("h4.pf-v5-c-alert__title")) {
        heading.setAttribute("aria-level", "2");
    }
}

if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", join);
} else {
    join();
}
