//! A volume that is to be removed: done here, and told over `RelayVolume`.

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use weir_api::v1::{RelayVolumeRequest, VolumeRemoved, VolumeRequest, relay_volume_request::Request};

use super::{QUEUE, until_over};
use crate::{northbound::Client, runtime::docker::Docker};

/// Removes a volume and says so.
pub async fn relay(docker: Docker, client: Client, VolumeRequest { id, name }: VolumeRequest) {
    let (outgoing, outputs) = mpsc::channel(QUEUE);
    let speak = speak(docker, id.clone(), name, outgoing);
    until_over(&id, speak, listen(client, outputs)).await;
}

/// Says whose call it is, then what became of the volume.
async fn speak(docker: Docker, id: String, name: String, outgoing: mpsc::Sender<RelayVolumeRequest>) {
    let send = |request| outgoing.send(RelayVolumeRequest { request: Some(request) });
    // If nobody takes it the call has ended, which the other side notices.
    if send(Request::Id(id)).await.is_ok() {
        let said = match docker.remove_volume(&name).await {
            Ok(()) => Request::Removed(VolumeRemoved {}),
            Err(error) => Request::Failed(error.to_string()),
        };
        drop(send(said).await);
    }
}

/// Opens the call; it ends when the controller ends it.
async fn listen(mut client: Client, outputs: mpsc::Receiver<RelayVolumeRequest>) -> Result<(), Status> {
    let mut answers = client.relay_volume(ReceiverStream::new(outputs)).await?.into_inner();
    while answers.message().await?.is_some() {}
    Ok(())
}
