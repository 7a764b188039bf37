//! The two sides of a run: threads of producers, threads of consumers, each connected before the clock runs.

#![expect(clippy::disallowed_methods, reason = "a live world: tasks of the generator's own reactors")]

use std::io;

use tokio::task::{JoinHandle, spawn_local};

use super::Run;
use crate::clock::Pacer;
use crate::driver::Driver;
use crate::receive::receive;
use crate::send::{Sent, send};
use crate::spec::Reading;
use crate::tally::Read;
use crate::threads::{Gate, Ready, a_side};

impl<D: Driver> Run<'_, D> {
    /// Producers that wait for the word, and then first write so many records of a backlog each, if any number is said.
    pub(super) fn senders(&self, backlog: Option<u64>) -> io::Result<Ready<Vec<Sent>>> {
        let threads = a_side().min(self.spec.producers);
        Ready::all((0..threads).map(|at| {
            let (driver, spec, shared) = (self.driver.clone(), self.spec.clone(), self.shared.clone());
            move |gate: Gate| async move {
                let mut producers = Vec::new();
                for number in (at..spec.producers).step_by(threads) {
                    producers.push((number, driver.producer(&spec).await?));
                }
                gate.pass().await?;
                let tasks = producers.into_iter().map(|(number, producer)| {
                    let (spec, shared) = (spec.clone(), shared.clone());
                    spawn_local(async move { send(producer, number, &spec, shared, &Pacer::exact()?, backlog).await })
                });
                all(tasks.collect()).await
            }
        }))
    }

    /// Consumers that wait for the word.
    pub(super) fn readers(&self) -> io::Result<Ready<Vec<(usize, Read)>>> {
        let (each, count) = (self.spec.consumers, self.spec.groups() * self.spec.consumers);
        let threads = a_side().min(count);
        Ready::all((0..threads).map(|at| {
            let (driver, spec, shared) = (self.driver.clone(), self.spec.clone(), self.shared.clone());
            let progress = self.progress.clone();
            move |gate: Gate| async move {
                let mut consumers = Vec::new();
                for number in (at..count).step_by(threads) {
                    consumers.push((number, driver.consumer(&spec, number % each).await?));
                }
                gate.pass().await?;
                let tasks = consumers.into_iter().map(|(number, consumer)| {
                    let (shared, progress, group) = (shared.clone(), progress.clone(), number / each);
                    let tail = matches!(spec.reading, Reading::Tail { .. });
                    spawn_local(async move {
                        receive(consumer, (number, group), tail, shared, progress).await.map(|read| (group, read))
                    })
                });
                all(tasks.collect()).await
            }
        }))
    }
}

async fn all<T: 'static>(tasks: Vec<JoinHandle<io::Result<T>>>) -> io::Result<Vec<T>> {
    let mut done = Vec::new();
    for task in tasks {
        done.push(task.await.map_err(io::Error::other)??);
    }
    Ok(done)
}
