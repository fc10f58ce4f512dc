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
        <div class="${properties.kcFormGroupClass!}">
            <label for="tradepulse-recovery-codes">
                <input id="tradepulse-recovery-codes" name="recovery-codes" type="checkbox"
                       aria-describedby="tradepulse-recovery-codes-help">
                ${msg("tradepulseRecoveryCodes")}
            </label>
            <p id="tradepulse-recovery-codes-help">${msg("tradepulseRecoveryCodesHelp")}</p>
        </div>
    </form>
</#if>
</@layout.registrationLayout>
