//! Virtual time and the tasks that live in it: one thread, no wall clock, the same order for the same seed.

mod task;

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, VecDeque, btree_map::OccupiedEntry},
    future::poll_fn,
    pin::pin,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

pub(crate) use task::ProcessId;
use task::{Ready, Task, TaskId};

/// What Unix time is when a run begins: some moment, in milliseconds.
const BEGINNING_MS: i64 = 1_800_000_000_000;

/// The simulated world's time and tasks. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sim(Rc<Inner>);

struct Inner {
    /// What [`Sim::instant`] counts from: cores that take an `Instant` only ever compare.
    epoch: Instant,
    now: Cell<Duration>,
    ready: Ready,
    /// All but the one that is being polled.
    tasks: RefCell<BTreeMap<TaskId, Task>>,
    last_task: Cell<TaskId>,
    processes: RefCell<Vec<Process>>,
    timers: RefCell<BTreeMap<(Duration, u64), Timer>>,
    last_timer: Cell<u64>,
    chance: RefCell<fastrand::Rng>,
    stopped: Cell<bool>,
    trace: Option<RefCell<Vec<String>>>,
}

/// What is done at a time, in the order in which it was asked for.
type Timer = Box<dyn FnOnce()>;

struct Process {
    is_alive: bool,
    is_frozen: bool,
    /// Tasks that were woken while it was frozen.
    parked: Vec<TaskId>,
}

impl Sim {
    /// An empty world whose chances follow from `seed`.
    pub(crate) fn new(seed: u64, traced: bool) -> Self {
        Self(Rc::new(Inner {
            epoch: Instant::now(),
            now: Cell::default(),
            ready: Arc::new(Mutex::new(VecDeque::new())),
            tasks: RefCell::default(),
            last_task: Cell::new(0),
            processes: RefCell::default(),
            timers: RefCell::default(),
            last_timer: Cell::new(0),
            chance: RefCell::new(fastrand::Rng::with_seed(seed)),
            stopped: Cell::new(false),
            trace: traced.then(RefCell::default),
        }))
    }

    /// Time since the beginning.
    pub(crate) fn now(&self) -> Duration {
        self.0.now.get()
    }

    /// The same as Unix time in milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        BEGINNING_MS.saturating_add_unsigned(self.now().as_millis().try_into().unwrap_or(u64::MAX))
    }

    /// How long it is until a Unix time; zero if that has passed.
    pub(crate) fn until(&self, unix_ms: i64) -> Duration {
        Duration::from_millis(unix_ms.saturating_sub(self.now_ms()).try_into().unwrap_or(0))
    }

    /// The same for cores that take an `Instant`.
    pub(crate) fn instant(&self) -> Instant {
        self.0.epoch + self.now()
    }

    /// Random choices that follow from the seed.
    pub(crate) fn chance<T>(&self, choose: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        choose(&mut self.0.chance.borrow_mut())
    }

    /// True with a probability of `per_mille` in 1,000.
    pub(crate) fn happens(&self, per_mille: u32) -> bool {
        per_mille > 0 && self.chance(|rng| rng.u32(0..1_000)) < per_mille
    }

    /// A new process.
    pub(crate) fn start(&self) -> ProcessId {
        let mut processes = self.0.processes.borrow_mut();
        processes.push(Process { is_alive: true, is_frozen: false, parked: Vec::new() });
        ProcessId(processes.len() - 1)
    }

    /// Whether the process has not been killed.
    pub(crate) fn is_alive(&self, process: ProcessId) -> bool {
        self.0.processes.borrow()[process.0].is_alive
    }

    /// Ends all tasks of a process at once, wherever they are.
    pub(crate) fn kill(&self, process: ProcessId) {
        self.0.processes.borrow_mut()[process.0].is_alive = false;
        let dropped: Vec<_> = self.0.tasks.borrow_mut().extract_if(.., |_, task| task.process == process).collect();
        // Not while the tasks are borrowed: what ends here may wake others.
        drop(dropped);
    }

    /// Stops a process where it is; what happens to it meanwhile it notices later.
    pub(crate) fn freeze(&self, process: ProcessId) {
        self.0.processes.borrow_mut()[process.0].is_frozen = true;
    }

    /// Lets a frozen process go on, if it is still there.
    pub(crate) fn thaw(&self, process: ProcessId) {
        let mut processes = self.0.processes.borrow_mut();
        processes[process.0].is_frozen = false;
        let parked = std::mem::take(&mut processes[process.0].parked);
        self.lock_ready().extend(parked);
    }

    /// Runs a future as a task of the process, unless that is dead.
    pub(crate) fn spawn(&self, process: ProcessId, future: impl Future<Output = ()> + 'static) {
        if !self.is_alive(process) {
            return;
        }
        let id = self.0.last_task.get() + 1;
        self.0.last_task.set(id);
        self.0.tasks.borrow_mut().insert(id, Task::new(id, process, future, &self.0.ready));
        self.lock_ready().push_back(id);
    }

    /// Calls `run` after `delay`.
    pub(crate) fn after(&self, delay: Duration, run: impl FnOnce() + 'static) {
        self.0.timers.borrow_mut().insert(self.timer_key(delay), Box::new(run));
    }

    /// Waits.
    pub(crate) fn sleep(&self, delay: Duration) -> Sleep {
        Sleep { sim: self.clone(), key: self.timer_key(delay), registered: false }
    }

    /// What the future comes to, unless that takes longer than `limit`.
    pub(crate) async fn timeout<T>(&self, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
        let (mut future, mut limit) = (pin!(future), pin!(self.sleep(limit)));
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending => limit.as_mut().poll(context).map(|()| None),
        })
        .await
    }

    /// Notes a line of the trace, if there is one.
    pub(crate) fn trace(&self, line: impl FnOnce() -> String) {
        if let Some(trace) = &self.0.trace {
            let at = self.now();
            trace.borrow_mut().push(format!("{:>9.3} s  {}", at.as_secs_f64(), line()));
        }
    }

    /// Ends [`run_until`](Self::run_until) after the current step.
    pub(crate) fn stop(&self) {
        self.0.stopped.set(true);
    }

    /// Lets everything happen that happens before `end`.
    pub(crate) fn run_until(&self, end: Duration) {
        while !self.0.stopped.get() {
            self.poll_ready();
            let mut timers = self.0.timers.borrow_mut();
            let next = timers.first_entry().filter(|entry| entry.key().0 <= end).map(OccupiedEntry::remove_entry);
            drop(timers);
            let Some(((at, _), run)) = next else { return self.0.now.set(end) };
            self.0.now.set(at.max(self.now()));
            run();
        }
    }

    /// Drops all tasks and timers, which hold the world that holds this. Returns the trace.
    pub(crate) fn dissolve(&self) -> Vec<String> {
        let count = self.0.processes.borrow().len();
        for process in 0..count {
            self.kill(ProcessId(process));
        }
        // What is dropped may leave word for later, which nobody is going to hear.
        while !self.0.timers.borrow().is_empty() {
            let timers = self.0.timers.take();
            drop(timers);
        }
        self.0.trace.as_ref().map(RefCell::take).unwrap_or_default()
    }

    fn poll_ready(&self) {
        while !self.0.stopped.get() {
            let Some(id) = self.lock_ready().pop_front() else { return };
            let Some(mut task) = self.take_unless_frozen(id) else { continue };
            let is_over = task.future.as_mut().poll(&mut Context::from_waker(&task.waker)).is_ready();
            if !is_over && self.is_alive(task.process) {
                self.0.tasks.borrow_mut().insert(id, task);
            }
        }
    }

    fn take_unless_frozen(&self, id: TaskId) -> Option<Task> {
        let mut tasks = self.0.tasks.borrow_mut();
        let process = &mut self.0.processes.borrow_mut()[tasks.get(&id)?.process.0];
        if process.is_frozen {
            process.parked.push(id);
            return None;
        }
        tasks.remove(&id)
    }

    fn timer_key(&self, delay: Duration) -> (Duration, u64) {
        self.0.last_timer.set(self.0.last_timer.get() + 1);
        (self.now() + delay, self.0.last_timer.get())
    }

    fn lock_ready(&self) -> std::sync::MutexGuard<'_, VecDeque<TaskId>> {
        self.0.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait; forgotten when it is dropped.
pub(crate) struct Sleep {
    sim: Sim,
    key: (Duration, u64),
    registered: bool,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut timers = self.sim.0.timers.borrow_mut();
        if self.registered {
            return if timers.contains_key(&self.key) { Poll::Pending } else { Poll::Ready(()) };
        }
        let waker = context.waker().clone();
        timers.insert(self.key, Box::new(move || waker.wake()));
        drop(timers);
        self.registered = true;
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if self.registered {
            self.sim.0.timers.borrow_mut().remove(&self.key);
        }
    }
}
