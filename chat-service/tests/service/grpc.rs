//! The standard gRPC services, which stand beside the service itself.

use futures_util::stream;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::support::shared;

const SERVICE: &str = "mindful.chat.v1.ChatService";

#[tokio::test]
async fn health_and_reflection_know_the_service() {
    let replica = shared().await.stack().await.replica().await;
    let check = HealthCheckRequest { service: SERVICE.into() };
    let health = HealthClient::new(replica.client()).check(check).await.unwrap().into_inner();
    assert_eq!(health.status(), ServingStatus::Serving);

    let list = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..ServerReflectionRequest::default()
    };
    let answers = ServerReflectionClient::new(replica.client()).server_reflection_info(stream::iter([list])).await;
    let answer = answers.unwrap().into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(listed)) = answer.message_response else { panic!("{answer:?}") };
    assert!(listed.service.iter().any(|service| service.name == SERVICE), "{listed:?}");
}
