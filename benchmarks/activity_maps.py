"""Do trained networks predict simulated maps of activity better than untrained ones, and shuffled maps not at all?

python benchmarks/activity_maps.py runs/mine/*/seed*

Prints the raw score of the best layer of each run, trained and untrained, on the maps of the simulated V1 and V2, and
the scores of that layer with the positions of every map shuffled.
"""

import argparse

import numpy as np

from cornet.brain import map_features, map_predictivity, open_benchmarks, open_subject


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--shuffles", type=int, default=10)
    arguments = parser.parse_args()
    for benchmark in open_benchmarks(["simulated.V1-activity_maps", "simulated.V2-activity_maps"]):
        maps, rng = benchmark.maps.mean, np.random.default_rng(0)
        places = maps.shape[1] * maps.shape[2]
        pairs, shuffled = [], []
        for run in arguments.runs:
            trained, untrained = (open_subject(f"{run}{option}") for option in ("", "?untrained"))
            scores = [benchmark.run(one) for one in (trained, untrained)]
            site = scores[0].details["site"]
            recorded = trained.record(benchmark.stimuli, [site])[site]
            rows = benchmark.stimuli.positions(list(benchmark.maps.stimulus_ids))
            layer = recorded[rows].reshape(len(rows), *trained.shapes([site])[site])
            features = map_features(layer, maps.shape[1:3])
            for _ in range(arguments.shuffles):
                mixed = [rng.permutation(one.reshape(places, -1)).reshape(one.shape) for one in maps]
                shuffled.append(map_predictivity(features, np.stack(mixed)).raw)
            pairs.append([one.raw for one in scores])
            print(
                f"{benchmark.name}  {run}  trained {pairs[-1][0]:.3f} ({site})  untrained {pairs[-1][1]:.3f}"
            )
        values = np.array(pairs)
        better = int((values[:, 0] > values[:, 1]).sum())
        print(
            f"{benchmark.name}  mean of {len(values)}: trained {values[:, 0].mean():.3f}, untrained "
            f"{values[:, 1].mean():.3f}, better in {better}; shuffled {np.mean(shuffled):.3f} "
            f"({np.min(shuffled):.3f} to {np.max(shuffled):.3f})"
        )


if __name__ == "__main__":
    main()
