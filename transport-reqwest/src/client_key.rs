//! Client assertions by the key that stands in the place of the client's secret.

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use regrant::{Secret, Timestamp};
use ring::error::Unspecified;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::assertion::{Assertion, AssertionError, AssertionSigner};

/// Signs with what stands in [`Client::client_secret`](regrant::Client): PKCS #8 in PEM.
#[derive(Debug)]
pub(crate) struct ClientKey;

/// A private key, and with it the algorithm.
enum Key {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

#[async_trait]
impl AssertionSigner for ClientKey {
    async fn sign(&self, assertion: &Assertion<'_>) -> Result<Secret, AssertionError> {
        let pem = assertion.client.client_secret.as_ref().ok_or(AssertionError::NoKey)?;
        let key = Key::read(pem).ok_or(AssertionError::NoKey)?;
        let random = SystemRandom::new();
        let signed = signed(assertion, &key, &random);
        signed.map_err(|_| AssertionError::new("the key or the system's randomness failed"))
    }
}

/// The JWT in its compact form (RFC 7515 section 7.1).
fn signed(
    assertion: &Assertion<'_>,
    key: &Key,
    random: &SystemRandom,
) -> Result<Secret, Unspecified> {
    // 128 bits: no two are ever the same.
    let mut jti = [0; 16];
    random.fill(&mut jti)?;
    let encode = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
    let head = json!({ "typ": "JWT", "alg": key.algorithm() });
    let claims = json!({
        "iss": assertion.client.client_id,
        "sub": assertion.client.client_id,
        "aud": assertion.audience,
        "jti": BASE64_URL_SAFE_NO_PAD.encode(jti),
        "iat": seconds(assertion.issued_at),
        "exp": seconds(assertion.expires_at),
    });
    let message = format!("{}.{}", encode(&head), encode(&claims));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes(), random)?);
    Ok(Secret::new(format!("{message}.{signature}")))
}

fn seconds(moment: Timestamp) -> u64 {
    moment.as_millis() / 1_000
}

impl Key {
    fn read(pem: &Secret) -> Option<Self> {
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem.expose().as_bytes()).ok()?;
        let der = &Zeroizing::new(key);
        let der = der.secret_pkcs8_der();
        let random = &SystemRandom::new();
        // Each takes its own kind of key and no other.
        let rsa = || RsaKeyPair::from_pkcs8(der).map(Self::Rsa);
        let curve = |curve| EcdsaKeyPair::from_pkcs8(curve, der, random);
        let p256 = || curve(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Self::P256);
        let p384 = || curve(&ECDSA_P384_SHA384_FIXED_SIGNING).map(Self::P384);
        // "Unchecked", because OpenSSL leaves out the public half that it could be checked by.
        let ed25519 = || Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Self::Ed25519);
        p256().or_else(|_| rsa()).or_else(|_| ed25519()).or_else(|_| p384()).ok()
    }

    /// RFC 7518 section 3.1, RFC 8037 section 3.1. An RSA key can sign in two ways: RS256 is the
    /// one that all servers know. Who must have PS256 has a signer of their own.
    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::P256(_) => "ES256",
            Self::P384(_) => "ES384",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    fn sign(&self, message: &[u8], random: &SystemRandom) -> Result<Vec<u8>, Unspecified> {
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, random, message, &mut signature)?;
                Ok(signature)
            }
            Self::P256(key) | Self::P384(key) => Ok(key.sign(random, message)?.as_ref().to_vec()),
            Self::Ed25519(key) => Ok(key.sign(message).as_ref().to_vec()),
        }
    }
}
