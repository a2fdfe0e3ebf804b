//! gRPC: which call is live, and what became of one.

use std::sync::Arc;

use proto::{
    IdError, MatchId, UserId,
    ids::CallId,
    signaling::{
        Call as WireCall, CallState, GetCallRequest, GetCallResponse,
        get_call_request::{Of, OfDevice},
        signaling_service_server::{SignalingService, SignalingServiceServer},
    },
};
use tonic::{Request, Response, Status};

use crate::{
    call::{Actor, Call, State},
    failure::Failure,
    switchboard::{Lookup, Missed, Switchboard},
};

/// Looks calls up.
#[derive(Debug, Clone)]
pub struct CallRpc {
    switchboard: Arc<Switchboard>,
}

impl CallRpc {
    /// The service, to be served.
    pub fn server(switchboard: Arc<Switchboard>) -> SignalingServiceServer<Self> {
        SignalingServiceServer::new(Self { switchboard })
    }
}

#[tonic::async_trait]
impl SignalingService for CallRpc {
    async fn get_call(&self, request: Request<GetCallRequest>) -> Result<Response<GetCallResponse>, Status> {
        let of = request.into_inner().of.ok_or_else(|| Status::invalid_argument("nothing to look up by"))?;
        let question = question(of).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let answer = self.answer(&question).await;
        Ok(Response::new(answer.map_err(|failure| Status::unavailable(failure.to_string()))?))
    }
}

impl CallRpc {
    async fn answer(&self, question: &Question) -> Result<GetCallResponse, Failure> {
        match question {
            Question::Live(by) => {
                let call = self.switchboard.live_call(by).await?;
                Ok(GetCallResponse { call: call.as_ref().map(to_wire), told: Vec::new() })
            }
            Question::Missed { user, device, heard_of } => {
                let device = Actor { user, device };
                let Missed { live, told } = self.switchboard.missed_by(&device, heard_of.as_ref()).await?;
                Ok(GetCallResponse { call: live.as_ref().map(to_wire), told })
            }
        }
    }
}

/// What is asked.
enum Question {
    /// Which call is live.
    Live(Lookup),
    /// What a device that was away has missed.
    Missed { user: UserId, device: String, heard_of: Option<CallId> },
}

fn question(of: Of) -> Result<Question, IdError> {
    Ok(Question::Live(match of {
        Of::MatchId(id) => Lookup::Match(MatchId::new(id)?),
        Of::UserId(id) => Lookup::User(UserId::new(id)?),
        Of::CallId(id) => Lookup::Call(CallId::new(id)?),
        Of::OfDevice(OfDevice { user_id, device, heard_of }) => {
            let (user, heard_of) = (UserId::new(user_id)?, heard_of.map(CallId::new).transpose()?);
            return Ok(Question::Missed { user, device, heard_of });
        }
    }))
}

/// The call as the gateways see it.
pub fn to_wire(call: &Call) -> WireCall {
    let (state, accepted_with) = match &call.state {
        State::Ringing => (CallState::Ringing, None),
        State::Active(signal) => (CallState::Active, signal.clone()),
        State::Ended(_) => (CallState::Ended, None),
    };
    WireCall {
        call_id: call.id.to_string(),
        match_id: call.match_id.to_string(),
        caller: call.caller.to_string(),
        callee: call.callee.to_string(),
        state: state.into(),
        media: call.media.clone(),
        expires_at_ms: call.expires_at_ms,
        version: call.version,
        caller_device: call.caller_device.name.clone(),
        callee_device: call.callee_device.as_ref().map(|device| device.name.clone()),
        accepted_with,
    }
}
