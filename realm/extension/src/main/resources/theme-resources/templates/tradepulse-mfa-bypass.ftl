<#import "template.ftl" as layout>
<@layout.registrationLayout displayInfo=false; section>
<#if section = "header">
    ${msg("tradepulseBypassTitle")}
<#elseif section = "form">
    <form id="tradepulse-mfa-bypass" class="${properties.kcFormClass!}" action="${url.loginAction}" method="post">
        <p>${msg("tradepulseBypassWhy")}</p>
        <div class="${properties.kcFormGroupClass!}">
            <label for="own" class="${properties.kcLabelClass!}">${msg("tradepulseBypassOwn")}</label>
            <input id="own" name="own" type="text" autocomplete="off" autocapitalize="characters" spellcheck="false"
                   maxlength="64" dir="ltr" autofocus required class="${properties.kcInputClass!}">
        </div>
        <div class="${properties.kcFormGroupClass!}">
            <label for="handed" class="${properties.kcLabelClass!}">${msg("tradepulseBypassHanded")}</label>
            <input id="handed" name="handed" type="text" autocomplete="off" autocapitalize="characters" spellcheck="false"
                   maxlength="64" dir="ltr" required class="${properties.kcInputClass!}">
        </div>
        <div id="kc-form-buttons" class="${properties.kcFormButtonsClass!}">
            <input id="kc-login" name="login" type="submit" value="${msg("doLogIn")}"
                   class="${properties.kcButtonClass!} ${properties.kcButtonPrimaryClass!} ${properties.kcButtonBlockClass!} ${properties.kcButtonLargeClass!}">
        </div>
    </form>
</#if>
</@layout.registrationLayout>
