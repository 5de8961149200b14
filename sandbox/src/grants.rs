//! The grants of the token endpoint: what each kind of request gets.

use crate::{
    authorization::{AccessRequest, Authorization},
    codes::Redemption,
    event::SandboxEvent,
    form::Form,
    mint,
    refusal::{CodeRefusal, Denial, Refusal},
    shared::{Addresses, Inner},
    state::Grant,
    stats::GrantType,
};

/// One token request whose client is known.
#[derive(Debug)]
pub(crate) struct TokenRequest<'a> {
    form: &'a Form,
    grant_type: GrantType,
    access: AccessRequest,
    /// Whether a refresh may spend its refresh token.
    rotate: bool,
    now: u64,
}

pub(crate) fn grant_type(form: &Form) -> Result<GrantType, Denial> {
    match form.value("grant_type") {
        Some("authorization_code") => Ok(GrantType::AuthorizationCode),
        Some("client_credentials") => Ok(GrantType::ClientCredentials),
        Some("urn:ietf:params:oauth:grant-type:device_code") => Ok(GrantType::DeviceCode),
        Some("refresh_token") => Ok(GrantType::RefreshToken),
        Some(_) => Err(Denial("unsupported_grant_type", "The sandbox has no such grant")),
        None => Err(Denial("invalid_request", "The grant type is missing")),
    }
}

impl<'a> TokenRequest<'a> {
    pub(crate) fn read(
        form: &'a Form,
        grant_type: GrantType,
        inner: &Inner,
        addresses: &Addresses,
        rotate: bool,
        now: u64,
    ) -> Result<Self, Denial> {
        let access = AccessRequest::read(form, &inner.config, addresses)?;
        Ok(Self { form, grant_type, access, rotate, now })
    }

    pub(crate) fn judge(self, inner: &mut Inner) -> Result<Grant, Denial> {
        match self.grant_type {
            GrantType::AuthorizationCode => self.authorization_code(inner),
            GrantType::ClientCredentials => self.client_credentials(inner),
            GrantType::DeviceCode => self.device_code(inner),
            GrantType::RefreshToken => self.refresh_token(inner),
        }
    }

    fn refresh_token(self, inner: &mut Inner) -> Result<Grant, Denial> {
        let presented = self
            .form
            .value("refresh_token")
            .ok_or(Denial("invalid_request", "The refresh token is missing"))?;
        let Self { access, rotate, now, .. } = &self;
        let config = &inner.config;
        let result = inner.state.refresh(config, presented, access, *rotate, mint::tokens(), *now);
        if let Err(Refusal::Reused { revoked }) = result {
            inner.stats.reuse_detected += 1;
            inner.emit(SandboxEvent::ReuseDetected);
            inner.family_revoked(revoked);
        }
        let mut grant = result?;
        if grant.refresh.is_none() && inner.config.repeat_refresh_token {
            grant.refresh = Some(presented.to_owned());
        }
        Ok(grant)
    }

    fn client_credentials(self, inner: &mut Inner) -> Result<Grant, Denial> {
        if inner.config.client_secret.is_none() {
            return Err(Denial("unauthorized_client", "A public client has no credentials"));
        }
        let access = self.access.authorization(&inner.config)?;
        Ok(inner.state.client_credentials(&inner.config, access, mint::tokens(), self.now))
    }

    fn authorization_code(self, inner: &mut Inner) -> Result<Grant, Denial> {
        let code = self
            .form
            .value("code")
            .ok_or(Denial("invalid_request", "The authorization code is missing"))?;
        let presented = Redemption {
            client_id: &inner.config.client_id,
            redirect_uri: self.form.value("redirect_uri"),
            verifier: self.form.value("code_verifier"),
        };
        let result = inner.codes.redeem(code, &presented, self.now);
        if let Err(CodeRefusal::Used { access }) = &result {
            // RFC 6749, section 4.1.2: of two that know a code one is a thief.
            inner.stats.codes_reused += 1;
            let revoked = inner.state.revoke_family_of(access);
            inner.family_revoked(revoked);
        }
        let grant = self.log_in(inner, result?)?;
        inner.codes.spend(code, &grant.access);
        Ok(grant)
    }

    fn device_code(self, inner: &mut Inner) -> Result<Grant, Denial> {
        let code = self
            .form
            .value("device_code")
            .ok_or(Denial("invalid_request", "The device code is missing"))?;
        let allowed = inner.devices.poll(&inner.config.client_id, code, self.now)?;
        let grant = self.log_in(inner, allowed)?;
        inner.devices.spend(code);
        Ok(grant)
    }

    fn log_in(&self, inner: &mut Inner, allowed: Authorization) -> Result<Grant, Denial> {
        let access = allowed.narrowed(&self.access)?;
        let grant = inner.state.issue(&inner.config, allowed, access, mint::tokens(), self.now);
        inner.emit(SandboxEvent::Issued);
        Ok(grant)
    }
}
