<#import "template.ftl" as layout>
<@layout.registrationLayout displayInfo=false; section>
<#if section = "header">
    ${msg("tradepulseChooseFactorTitle")}
<#elseif section = "form">
    <form id="tradepulse-choose-factor" class="${properties.kcFormClass!}" action="${url.loginAction}" method="post">
        <p>${msg("tradepulseChooseFactorWhy")}</p>
        <div class="${properties.kcFormGroupClass!}">
            <button id="tradepulse-security-key" name="factor" value="security-key" type="submit" autofocus
                    aria-describedby="tradepulse-security-key-help"
                    class="${properties.kcButtonClass!} ${properties.kcButtonPrimaryClass!} ${properties.kcButtonBlockClass!} ${properties.kcButtonLargeClass!}">
                ${msg("tradepulseSecurityKey")}
            </button>
            <p id="tradepulse-security-key-help">${msg("tradepulseSecurityKeyHelp")}</p>
        </div>
        <div class="${properties.kcFormGroupClass!}">
            <button id="tradepulse-authenticator-app" name="factor" value="authenticator-app" type="submit"
                    aria-describedby="tradepulse-authenticator-app-help"
                    class="${properties.kcButtonClass!} ${properties.kcButtonSecondaryClass!} ${properties.kcButtonBlockClass!} ${properties.kcButtonLargeClass!}">
                ${msg("tradepulseAuthenticatorApp")}
            </button>
            <p id="tradepulse-authenticator-app-help">${msg("tradepulseAuthenticatorAppHelp")}</p>
        </div>
    </form>
</#if>
</@layout.registrationLayout>
