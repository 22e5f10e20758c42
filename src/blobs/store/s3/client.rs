//! The client of one side: the SDK's usual credential chain, our TLS, no retries but ours.

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::{BehaviorVersion, ConfigLoader};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{
    Builder, Region, RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient,
    StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};

use super::super::error::{Fault, StoreError};
use super::super::fault;
use crate::blobs::Side;

pub(super) async fn client(side: &Side, place: &str) -> Result<Client, StoreError> {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client(side, place)?)
        // Ours know the rate that was asked for, and give up with the cause.
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Some(profile) = &side.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(url) = &side.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    let config = region(loader, side).load().await;
    let elsewhere = config
        .endpoint_url()
        .is_some_and(|url| !url.contains(".amazonaws.com"));
    let builder = Builder::from(&config)
        .force_path_style(side.path_style.unwrap_or(elsewhere))
        // The bytes as they are; what they are compared with is the application's checksum.
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        // The SDK's default headers break several other stores, and at AWS an upload in parts would need one more for each part.
        // What is sent carries its MD5.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
    Ok(Client::from_conf(builder.build()))
}

/// The region that was named, or the environment's, or the profile's. Other stores than AWS seldom care, and a machine that is not
/// at AWS has no metadata service to ask.
fn region(loader: ConfigLoader, side: &Side) -> ConfigLoader {
    match (&side.region, &side.endpoint_url) {
        (Some(region), _) => loader.region(Region::new(region.clone())),
        (None, None) => loader,
        (None, Some(_)) => {
            let mut profile = ProfileFileRegionProvider::builder();
            if let Some(name) = &side.profile {
                profile = profile.profile_name(name);
            }
            loader.region(
                RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
                    .or_else(profile.build())
                    .or_else(Region::new("us-east-1")),
            )
        }
    }
}

fn http_client(side: &Side, place: &str) -> Result<SharedHttpClient, StoreError> {
    let failed = |what: String| fault(place, None, Fault::Io(what));
    let mut trusted = TrustStore::default();
    if let Some(path) = &side.ca_file {
        let pem =
            std::fs::read(path).map_err(|e| failed(format!("ca_file {}: {e}", path.display())))?;
        // The HTTP client panics where there is none in it.
        if !pem.windows(27).any(|w| w == b"-----BEGIN CERTIFICATE-----") {
            return Err(failed(format!(
                "ca_file {} holds no certificate in PEM form",
                path.display()
            )));
        }
        trusted = trusted.with_pem_certificate(pem);
    }
    let context = TlsContext::builder().with_trust_store(trusted).build();
    Ok(aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(context.map_err(|e| failed(e.to_string()))?)
        .build_https())
}
