"""Search for a learning rate with Optuna, and give trials up on the accuracy that they are predicted to reach."""

import optuna

from axonometry.integrations.optuna import AccuracyPruner
from axonometry.populations import RunConfiguration, grid, train, train_population
from axonometry.predict import AccuracyPredictor
from axonometry.trajectory import Trajectory

EPOCHS = 3
MEASURES = ("channel_degree",)
RATES = [10 ** (power / 4) for power in range(-10, 2)]


def objective(trial: optuna.Trial) -> float:
    rate = trial.suggest_float("learning_rate", 1e-4, 3, log=True)
    chosen = RunConfiguration(optimiser="sgd", learning_rate=rate, epochs=EPOCHS, batch_size=64, seed=trial.number)
    folder = f"runs/trials/{chosen.identity}"
    trial.set_user_attr("run", folder)

    def hopeless(run: Trajectory) -> bool:
        epoch = run.steps[-1]
        if epoch == 0:
            return False
        trial.report(run.scalars()["accuracy"][epoch], epoch)
        return trial.should_prune()

    run = train(chosen, folder, measures=MEASURES, stop=hopeless)
    if run.steps[-1] < EPOCHS:
        raise optuna.TrialPruned
    return run.scalars()["accuracy"][EPOCHS]


if __name__ == "__main__":
    # The predictor learns from trainings that are there already.
    earlier = grid({"learning_rate": RATES}, seed=1000, optimiser="sgd", epochs=EPOCHS, batch_size=64)
    past = train_population(earlier, "runs/earlier", measures=MEASURES)
    predictor = AccuracyPredictor(epochs=2).fit(list(past.runs.values()))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = AccuracyPruner(predictor, level=0.8)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0), pruner=pruner)
    study.optimize(objective, n_trials=5)
    for trial in study.trials:
        print(f"learning rate {trial.params['learning_rate']:.4f}: {trial.state.name.lower()}")
    print(f"best: {study.best_params['learning_rate']:.4f}, accuracy {study.best_value:.3f}")
