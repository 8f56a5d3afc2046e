"""Lists of feature maps, as timm's networks give them with features_only=True."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from cornet.models.timm_api.methods import chosen_indices

__all__ = ["FeatureInfo", "FeatureMaps"]


class FeatureInfo:
    """What is known of feature maps; the accessors of timm's `FeatureInfo`.

    info: for every area {"num_chs", "reduction", "module", "index"}. out_indices: the positions of the chosen ones.
    """

    def __init__(self, info: Sequence[dict[str, Any]], out_indices: Sequence[int]) -> None:
        self.info = list(info)
        self.out_indices = tuple(out_indices)

    def get(self, key: str, idx: int | Sequence[int] | None = None) -> Any:
        """A value of each chosen map; idx: of this map, or of these, chosen or not."""
        if isinstance(idx, int):
            return self.info[idx][key]
        return [self.info[i][key] for i in (self.out_indices if idx is None else idx)]

    def get_dicts(
        self, keys: Sequence[str] | None = None, idx: int | Sequence[int] | None = None
    ) -> dict[str, Any] | list[dict[str, Any]]:
        """All values, or those of `keys`, of each chosen map; idx: as in `get`."""
        if isinstance(idx, int):
            return {key: self.info[idx][key] for key in keys or self.info[idx]}
        return [
            {key: self.info[i][key] for key in keys or self.info[i]}
            for i in (self.out_indices if idx is None else idx)
        ]

    def channels(self, idx: int | Sequence[int] | None = None) -> Any:
        """Channels of each chosen map."""
        return self.get("num_chs", idx)

    def reduction(self, idx: int | Sequence[int] | None = None) -> Any:
        """Pixels of the image for each pixel of a map; None for an area without a map."""
        return self.get("reduction", idx)

    def module_name(self, idx: int | Sequence[int] | None = None) -> Any:
        """The module that computes each chosen map."""
        return self.get("module", idx)

    def __getitem__(self, item: int) -> dict[str, Any]:
        return self.info[item]

    def __len__(self) -> int:
        return len(self.info)


class FeatureMaps(nn.Module):
    """A network without its decoder, whose `forward` returns [(batch, channel, y, x), ...] of normalised images.

    net: a `cornet.models.Network`, whose decoder is removed. out_indices: positions of areas in their table, from the
    end if below 0; or a number of last ones; None: all areas with a map, or all if none has one. There is one map for
    each, of the area's last step, in the order of the table. An area whose output is not (batch, channel, y, x), as C1
    of HMAX, is returned as it is if it is named, and has no `reduction`.

    feature_info: see `FeatureInfo`. Raises CornetError for a position that does not exist.
    """

    def __init__(self, net: Any, out_indices: int | Sequence[int] | None = None) -> None:
        super().__init__()
        info = net.feature_info
        chosen = chosen_indices(out_indices, list(net.area_table))
        if out_indices is None:
            chosen = [index for index in chosen if info[index]["reduction"]] or chosen
        self.out_indices = tuple(sorted(set(chosen)))
        self.feature_info = FeatureInfo(info, self.out_indices)
        net.reset_classifier(0)
        self.model = net

    @property
    def pretrained_cfg(self) -> dict[str, Any]:
        """As of the network."""
        found: dict[str, Any] = self.model.pretrained_cfg
        return found

    @property
    def default_cfg(self) -> dict[str, Any]:
        return self.pretrained_cfg

    def forward(self, images: Tensor) -> list[Tensor]:
        maps: list[Tensor] = self.model.forward_intermediates(
            images, self.out_indices, stop_early=True, intermediates_only=True
        )
        return maps
