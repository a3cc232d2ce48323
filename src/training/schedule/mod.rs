//! Learning rates that change from update to update, by Keras's schedules and numbers.

mod cosine;
mod decay;
mod functions;
mod piecewise;
mod plateau;
mod polynomial;
mod restarts;
mod scheduled;

pub use self::cosine::CosineDecay;
pub use self::decay::{ExponentialDecay, InverseTimeDecay};
pub use self::piecewise::PiecewiseConstantDecay;
pub use self::plateau::{MonitorMode, ReduceLrOnPlateau};
pub use self::polynomial::PolynomialDecay;
pub use self::restarts::CosineDecayRestarts;
pub use self::scheduled::Scheduled;
#[cfg(feature = "file")]
use crate::config::{Config, ConfigError, Described, Options};
use crate::error::Result;

/// What a schedule computes.
trait Course {
    /// The learning rate after so many updates, in f32 as in Keras.
    fn rate(&self, updates: u64) -> f32;

    /// The options that are out of range.
    fn check(&self) -> Result<()>;

    #[cfg(feature = "file")]
    fn describe(&self, config: Config) -> Config;

    #[cfg(feature = "file")]
    fn read(options: &Options<'_>) -> Result<Self, ConfigError>
    where
        Self: Sized;
}

/// The list of schedules: an enum of them, and what they have in common.
macro_rules! schedules {
    ($($name:ident,)*) => {
        /// One of Keras's learning rate schedules, which [`Scheduled`] follows.
        ///
        /// They compute in f32, as in Keras, whatever the weights' type is.
        ///
        /// ```
        /// use recurrent::training::{CosineDecay, Schedule};
        /// let schedule = Schedule::from(CosineDecay::new(0.0, 1000).warmup(0.1, 100).alpha(0.01));
        /// schedule.validate()?;
        /// let rates = [0, 50, 100, 1100, 5000].map(|update| schedule.at(update) as f32);
        /// assert_eq!(rates, [0.0, 0.05, 0.1, 0.001, 0.001]);
        /// # Ok::<(), recurrent::Error>(())
        /// ```
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        pub enum Schedule {
            $(#[doc = concat!("Keras's `", stringify!($name), "`.")] $name($name),)*
        }

        impl Schedule {
            fn course(&self) -> &dyn Course {
                match self {
                    $(Schedule::$name(schedule) => schedule,)*
                }
            }

            #[cfg(feature = "file")]
            fn class(&self) -> &'static str {
                match self {
                    $(Schedule::$name(_) => stringify!($name),)*
                }
            }

            #[cfg(feature = "file")]
            pub(crate) fn read(described: &Described<'_>) -> Result<Self, ConfigError> {
                match described.class() {
                    $(stringify!($name) => Ok(Schedule::$name(described.read(<$name as Course>::read)?)),)*
                    _ => Err(described.wrong_class(concat!($(stringify!($name), " ",)*).trim_end())),
                }
            }
        }

        $(
            impl From<$name> for Schedule {
                fn from(schedule: $name) -> Self {
                    Schedule::$name(schedule)
                }
            }

            impl $name {
                /// The learning rate after so many updates.
                pub fn at(&self, updates: u64) -> f64 {
                    f64::from(self.rate(updates))
                }
            }
        )*
    };
}

schedules! {
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
}

impl Schedule {
    /// The learning rate after so many updates: that of the first update is `at(0)`.
    pub fn at(&self, updates: u64) -> f64 {
        f64::from(self.course().rate(updates))
    }

    /// Checks that every number makes sense: what [`Scheduled`] asks at each step. All are finite and at least 0, as
    /// numbers of f32; `decay_steps`, `first_decay_steps` and `t_mul` are at least 1.
    ///
    /// # Errors
    /// [`Error::OptimizerOption`](crate::Error::OptimizerOption) names the option and its range.
    pub fn validate(&self) -> Result<()> {
        self.course().check()
    }

    /// All of it, for files.
    #[cfg(feature = "file")]
    pub(crate) fn describe(&self) -> Config {
        self.course().describe(Config::new(self.class()))
    }
}

/// A count, for files.
#[cfg(feature = "file")]
fn counted(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count from a file.
#[cfg(feature = "file")]
fn count(options: &Options<'_>, name: &str) -> Result<u64, ConfigError> {
    let expected = "a whole number of at least 0";
    let item = options.need(name, expected)?;
    u64::try_from(item.integer()?).map_err(|_| item.wrong(expected))
}
