//! The two sides of a run: threads of producers, threads of consumers, each connected before the clock runs.

#![expect(clippy::disallowed_methods, reason = "a live world: tasks of the generator's own reactors")]

use std::io;

use tokio::task::{JoinHandle, spawn_local};

use super::Run;
use crate::clock::Pacer;
use crate::driver::Driver;
use crate::events::seats;
use crate::receive::Part;
use crate::send::{Sent, send};
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

    /// Consumers that wait for the word, those that come later included.
    pub(super) fn readers(&self) -> io::Result<Ready<Vec<(usize, Read)>>> {
        let (each, seats) = (self.spec.consumers, seats(self.spec));
        let threads = a_side().min(seats.len());
        Ready::all((0..threads).map(|at| {
            let (driver, spec, shared) = (self.driver.clone(), self.spec.clone(), self.shared.clone());
            let (progress, seats) = (self.progress.clone(), seats.clone());
            move |gate: Gate| async move {
                let mut parts = Vec::new();
                for (number, seat) in seats.into_iter().enumerate().skip(at).step_by(threads) {
                    let there = seat.comes_ms.is_none();
                    let consumer = if there { Some(driver.consumer(&spec, number % each).await?) } else { None };
                    let group = (number / each).min(spec.groups() - 1);
                    let (spec, shared, progress) = (spec.clone(), shared.clone(), progress.clone());
                    parts.push((Part { number, group, seat, spec, shared, progress }, consumer));
                }
                gate.pass().await?;
                let tasks = parts.into_iter().map(|(part, consumer)| {
                    let (driver, group) = (driver.clone(), part.group);
                    spawn_local(async move { part.play(driver, consumer).await.map(|read| (group, read)) })
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
