use std::time::{Duration, SystemTime};

use jobtracker_guard::TrustError;
use jobtracker_model::{EmailAction, Timestamp};
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor,
    address::Envelope,
    message::Mailbox,
    transport::smtp::{
        Error as SmtpError,
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
        response::Response,
    },
};

use crate::{SmtpConfig, SmtpTls};

use super::{Answer, Notice, OutboxError, Outcome};

mod message;

/// The part of an answer's text that is kept, in characters.
const TEXT_CHARS: usize = 1024;

/// Sends e-mails through the configured SMTP server.
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    sender: Mailbox,
    timeout: Duration,
}

impl Mailer {
    /// A mailer as configured; `None` without a server.
    ///
    /// # Errors
    /// The sender or the file with authorities cannot be used.
    pub fn new(config: &SmtpConfig) -> Result<Option<Self>, OutboxError> {
        if config.host.is_empty() {
            return Ok(None);
        }
        let bad = |reason: String| OutboxError::BadValue { key: "smtp.from", reason };
        let sender = config
            .from
            .parse::<Mailbox>()
            .map_err(|error| bad(format!("cannot be used: {error}")))?;
        let tls = match config.tls {
            SmtpTls::None => Tls::None,
            SmtpTls::Starttls => Tls::Required(parameters(config)?),
            SmtpTls::Tls => Tls::Wrapper(parameters(config)?),
        };
        // The danger is only that it does not encrypt unless TLS is set.
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host)
            .port(config.port)
            .timeout(Some(config.timeout()))
            .tls(tls);
        if !config.user.is_empty() {
            let password = config.password.expose().to_owned();
            builder = builder.credentials(Credentials::new(config.user.clone(), password));
        }
        Ok(Some(Self { transport: builder.build(), sender, timeout: config.timeout() }))
    }

    /// Sends an e-mail about an event to one of its recipients, once.
    ///
    /// It ends within the configured time. If the future is dropped, the recipient may or may not
    /// have the e-mail.
    pub async fn send(
        &self,
        event: &Notice,
        email: &EmailAction,
        recipient: u32,
        now: Timestamp,
    ) -> Outcome {
        let to = email.recipients().nth(recipient as usize);
        let Some(to) = to.and_then(|to| to.parse::<Address>().ok()) else {
            return Outcome::failed("it has no such recipient");
        };
        let message = match message::write(event, email, &self.sender, system_time(now)) {
            Ok(message) => message.formatted(),
            Err(reason) => return Outcome::failed(reason),
        };
        let envelope = Envelope::new(Some(self.sender.email.clone()), vec![to])
            .expect("an envelope with a recipient is one");
        let sent = self.transport.send_raw(&envelope, &message);
        match tokio::time::timeout(self.timeout, sent).await {
            Ok(Ok(response)) => Outcome::Delivered(answer(&response)),
            Ok(Err(error)) => refusal(&error),
            Err(_) => Outcome::failed(format!("not sent within {} ms", self.timeout.as_millis())),
        }
    }
}

fn parameters(config: &SmtpConfig) -> Result<TlsParameters, OutboxError> {
    let mut builder = TlsParameters::builder(config.host.clone());
    let file = &config.tls_ca_file;
    if !file.as_os_str().is_empty() {
        let bad = |reason: String| TrustError::Certificates { file: file.clone(), reason };
        let pem = std::fs::read(file).map_err(|error| bad(error.to_string()))?;
        let certificate = Certificate::from_pem(&pem);
        let certificate = certificate.map_err(|error| bad(format!("is of no use: {error}")))?;
        builder = builder.add_root_certificate(certificate);
    }
    Ok(builder.build_rustls()?)
}

fn system_time(now: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(now.millis().unsigned_abs())
}

/// Whether an answer says that there is no such recipient. An operator can correct all other
/// errors: of this side's login or sender, or of the server.
fn is_about_recipient(error: &SmtpError) -> bool {
    matches!(status(error), Some(550 | 551 | 553))
}

fn status(error: &SmtpError) -> Option<u16> {
    error.status().map(u16::from)
}

fn refusal(error: &SmtpError) -> Outcome {
    let Some(status) = status(error) else {
        return Outcome::failed(cut(&told(error)));
    };
    let answer = Answer { status, text: cut(&told(error)) };
    if is_about_recipient(error) {
        return Outcome::Refused(answer);
    }
    Outcome::Failed { reason: format!("the SMTP server answered {status}"), answer: Some(answer) }
}

/// An error with its sources.
fn told(error: &SmtpError) -> String {
    let mut told = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
        cause = error.source();
    }
    told
}

fn answer(response: &Response) -> Answer {
    let status = u16::from(response.code());
    Answer { status, text: cut(&response.message().collect::<Vec<_>>().join(" ")) }
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_CHARS).collect()
}

#[cfg(test)]
mod tests;
