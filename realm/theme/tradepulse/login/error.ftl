<#import "template.ftl" as layout>
<#-- What went wrong, what to do now, and by what to find it in the logs. -->
<@layout.registrationLayout displayMessage=false; section>
<#if section = "header">
    ${msg("tradepulseErrorTitle")}
<#elseif section = "form">
    <div id="kc-error-message">
        <p class="instruction">${kcSanitize(message.summary)?no_esc}</p>
        <p class="instruction tp-next">${msg("tradepulseErrorNext")}</p>
        <#if !skipLink?? && client?? && client.baseUrl?has_content>
            <p><a id="backToApplication" class="${properties.kcButtonPrimaryClass!} ${properties.kcButtonBlockClass!}" href="${client.baseUrl}">${msg("backToApplication")}</a></p>
        </#if>
        <#if traceId??>
            <p id="traceId" class="tp-trace">${msg("traceIdSupportMessage", traceId)}</p>
        </#if>
    </div>
</#if>
</@layout.registrationLayout>
