//! `weir volume`: files that outlive containers, on one node each.

use clap::{Args, Subcommand};
use comfy_table::Cell;
use serde::Serialize;
use tonic::transport::Channel;
use weir_api::v1;
use weir_api::v1::volumes_client::VolumesClient;

use super::failure::Failure;
use super::output::{self, View, or_dash};
use super::session::Session;

#[derive(Debug, Subcommand)]
#[command(
    after_help = "A volume is made by the first container that names it: container create --volume NAME:/PATH …"
)]
pub(super) enum Command {
    /// List the pool's volumes, or those of all pools
    #[command(visible_alias = "ls")]
    List,
    /// Show one volume: where it is, and who uses it
    Show(Named),
    /// Delete a volume that no container uses, with all that is in it
    #[command(visible_alias = "rm")]
    Delete(Named),
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// The volume's name
    name: String,
}

pub(super) async fn run(session: &Session, command: Command) -> Result<(), Failure> {
    match command {
        Command::List => {
            let request =
                session.request(v1::ListVolumesRequest { pool: session.pool_or_all(), ..Default::default() });
            let mut client = client(session).await?;
            let answer = session.patiently("listing", client.list_volumes(request)).await?;
            output::show(session.format(), &VolumeList(answer.volumes.into_iter().map(Into::into).collect()))
        }
        Command::Show(Named { name }) => {
            let request = session.request(v1::GetVolumeRequest { pool: session.pool()?, name });
            let mut client = client(session).await?;
            let volume = session.patiently("asking", client.get_volume(request)).await?;
            output::show(session.format(), &VolumeView::from(volume))
        }
        Command::Delete(Named { name }) => {
            let pool = session.pool()?;
            let request = session.request(v1::DeleteVolumeRequest { pool: pool.clone(), name: name.clone() });
            let mut client = client(session).await?;
            session.patiently("deleting", client.delete_volume(request)).await?;
            output::show(session.format(), &output::Deleted { kind: "volume", pool: Some(pool), name })
        }
    }
}

async fn client(session: &Session) -> Result<VolumesClient<Channel>, Failure> {
    Ok(weir_api::client::volumes(session.channel().await?))
}

#[derive(Serialize)]
struct VolumeView {
    pool: String,
    name: String,
    node: String,
    /// Null: as many as there are.
    size_bytes: Option<u64>,
    used_by: Vec<String>,
    revision: u64,
}

#[derive(Serialize)]
#[serde(transparent)]
struct VolumeList(Vec<VolumeView>);

impl From<v1::Volume> for VolumeView {
    fn from(volume: v1::Volume) -> VolumeView {
        let v1::Volume { pool, name, node, size_bytes, used_by, revision } = volume;
        VolumeView { pool, name, node, size_bytes: (size_bytes > 0).then_some(size_bytes), used_by, revision }
    }
}

impl VolumeView {
    fn size(&self) -> String {
        self.size_bytes.map(super::container::amount::bytes_text).unwrap_or_default()
    }
}

impl View for VolumeView {
    fn to_text(&self) -> String {
        output::facts([
            ("Volume", format!("{}/{}", self.pool, self.name)),
            ("Node", self.node.clone()),
            ("Size", self.size()),
            ("Used by", self.used_by.join(", ")),
        ])
    }
}

impl View for VolumeList {
    fn to_text(&self) -> String {
        output::rows(
            &["POOL", "NAME", "NODE", "SIZE", "USED BY"],
            self.0.iter().map(|volume| {
                vec![
                    Cell::new(&volume.pool),
                    Cell::new(&volume.name),
                    Cell::new(&volume.node),
                    Cell::new(or_dash(volume.size())),
                    Cell::new(or_dash(volume.used_by.join(", "))),
                ]
            }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_where_volumes_are_and_who_uses_them() {
        let volume = v1::Volume {
            pool: "p".to_owned(),
            name: "data".to_owned(),
            node: "n2".to_owned(),
            size_bytes: 1 << 30,
            used_by: vec!["db".to_owned(), "backup".to_owned()],
            revision: 7,
        };
        let list = VolumeList(vec![volume.clone().into()]).to_text();
        let shown = VolumeView::from(volume).to_text();
        for part in ["data", "n2", "db, backup", "1"] {
            assert!(list.contains(part) && shown.contains(part), "{part}: {list}\n{shown}");
        }
    }
}
