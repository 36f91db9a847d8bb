"""The published vectors of `frozen-backbone/1`. They never change; docs/backbone.md shows the same (test_page.py)."""

from dataclasses import dataclass

from artifact.backbone import Distribution, RandomMap


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """One map: what goes in, and digests of what must come out."""

    number: int
    seed: int
    name: str
    distribution: Distribution
    shape: tuple[int, int]
    exponent: int
    stream: tuple[int, int, int, int]
    first_codes: tuple[int, ...]
    float32_sha256: str
    codes_sha256: str

    @property
    def random_map(self) -> RandomMap:
        """The vector's map."""
        return RandomMap(name=self.name, distribution=self.distribution, shape=self.shape, exponent=self.exponent)

    def __str__(self) -> str:
        return f"{self.number}-{self.distribution}"


VECTORS = (
    Vector(
        number=1,
        seed=0,
        name="layers.0.attn.q.weight",
        distribution=Distribution.G8,
        shape=(64, 48),
        exponent=8,
        stream=(0x87026C57, 0xA6261921, 0x1A208319, 0xD0B00D34),
        first_codes=(2, -23, -34, -96, -42, 13, 25, -52),
        float32_sha256="9cf79538bbc894969935b0ce5b889e2330501fc74aca0b933ecea2b87ab7eba9",
        codes_sha256="74e0885d58d22382a3ce7284fcc530fb532b033aae2a6ddec663a19bab5fed68",
    ),
    Vector(
        number=2,
        seed=1,
        name="layers.3.mlp.up.weight",
        distribution=Distribution.G8,
        shape=(768, 256),
        exponent=9,
        stream=(0x62A5EBDD, 0x06E34A56, 0xC424A970, 0x906ECAD4),
        first_codes=(34, 29, 56, -16, 3, -59, -1, -18),
        float32_sha256="3d1b6a5030fc11b64b286608e51c30584c184ec6f3c23b16d7e0ee126b187fbb",
        codes_sha256="c15a5663ce10572e953f537ab07e3a1e21a9aaac3dd6f631d853ae8a037150f2",
    ),
    Vector(
        number=3,
        seed=1_311_768_467_463_790_320,
        name="layers.0.attn.q.weight",
        distribution=Distribution.RAD,
        shape=(64, 48),
        exponent=3,
        stream=(0x2F86524B, 0xA5E2BA93, 0xB1684AC2, 0x54728C97),
        first_codes=(1, -1, 1, -1, -1, -1, -1, 1),
        float32_sha256="002ad089f5fc338cac054e58fa22529ef387fc8a098ffe0f370f01b90a7fa9f4",
        codes_sha256="07b336700ea2afa9fc9347233b25432effd084cee0a50d070554a0f18f834129",
    ),
    Vector(
        number=4,
        seed=18_446_744_073_709_551_615,
        name="layers.11.mlp.down.weight",
        distribution=Distribution.RAD,
        shape=(33, 77),
        exponent=3,
        stream=(0xECB5D3C0, 0x16188DFF, 0x5B9452FC, 0x2170F7A0),
        first_codes=(-1, -1, 1, 1, -1, -1, -1, -1),
        float32_sha256="8930d9c8a6c39940de175f1d1d14f1b16123cb1733b663de1b5ead9c0626c75a",
        codes_sha256="46a9fc2d9286955a953ac449a53f79fae9a93ef79ffccc79e0494e19c15a041b",
    ),
    Vector(
        number=5,
        seed=42,
        name="layers.0.attn.k.weight",
        distribution=Distribution.U8,
        shape=(16, 128),
        exponent=10,
        stream=(0x05176117, 0x7E2C95FC, 0xCFD9B483, 0xC446A963),
        first_codes=(219, -1, 205, 141, -235, 121, -97, 139),
        float32_sha256="6a5c6785334c44e9981f053f947ddfdf71307c11190b8adc6f7662e6847b479f",
        codes_sha256="8a05f176385bf36280029c3c5e01067ea3cc2db95048d2cf3b43c83f586387f7",
    ),
    Vector(
        number=7,
        seed=42,
        name="layers.0.attn.k.weight",
        distribution=Distribution.TERN2,
        shape=(16, 128),
        exponent=3,
        stream=(0x05176117, 0x7E2C95FC, 0xCFD9B483, 0xC446A963),
        first_codes=(0, 0, 0, 0, 1, 0, 0, 0),
        float32_sha256="7428827c6a2d83f083422915987faedf3495fd9fc3d005b9f0291f79a2ddd088",
        codes_sha256="d9b1f00dc28a7c735d4f99e2c1c26e7a8856ef5391c321ebe039c2376b536f59",
    ),
    Vector(
        number=8,
        seed=42,
        name="layers.0.attn.v.weight",
        distribution=Distribution.TOEP,
        shape=(24, 40),
        exponent=8,
        stream=(0x1DF2F43E, 0x19EB9205, 0x313581DF, 0xA9EB25A5),
        first_codes=(-38, -53, -16, -56, -32, 25, -9, 52),
        float32_sha256="0f4ac786120870f756e470c5dd1474fe763bd5606cca2f51166ec8871acbaa4b",
        codes_sha256="b1d21f4339f787a0ff8bfbf898b62fdcb8bd2fcc38e4824fd1d0bb12b3481514",
    ),
    Vector(
        number=9,
        seed=42,
        name="layers.0.attn.o.weight",
        distribution=Distribution.HADA,
        shape=(48, 48),
        exponent=3,
        stream=(0x1E456FAB, 0x852BD498, 0x323A3291, 0x64FB90B2),
        first_codes=(-1, 1, 1, 1, -1, 1, 1, -1),
        float32_sha256="d8cd18d5e87f1eba207f49adaed90464da55208567002530f9bb297958531449",
        codes_sha256="ea4dda90be7ebabc8631df26842e102e908040285101baefbda40fee92821dc2",
    ),
    Vector(
        number=10,
        seed=42,
        name="layers.0.mlp.up.weight",
        distribution=Distribution.HADA,
        shape=(56, 40),
        exponent=3,
        stream=(0xCC6C2875, 0x2BA2FC6F, 0x481EA312, 0x68DBF203),
        first_codes=(1, -1, 1, -1, 1, 1, -1, -1),
        float32_sha256="32d920dd9f8384d46b3abc660923d4f9031277c151ac5d4fa0b39acf958b97de",
        codes_sha256="2d4a4b8b4d5d1a186f2f2ce69e397ff0f4c64538f4d89a524d3058eecb92e903",
    ),
    Vector(
        number=11,
        seed=7,
        name="layers.0.attn.o.weight",
        distribution=Distribution.ORTHO,
        shape=(64, 64),
        exponent=6,
        stream=(0x40B3AAD4, 0x02988DC8, 0xE3CFA572, 0x1DB29573),
        first_codes=(-8, 8, 4, 4, 0, -8, -4, 4),
        float32_sha256="b5cefe5d0214f0d55567258a780f9d23cd300cf899b45424b296be169aa91f42",
        codes_sha256="754ac1febd00295cc60f46889a00832f4dfbca91c791d799e3620664916c67c5",
    ),
    Vector(
        number=12,
        seed=7,
        name="layers.1.attn.k.weight",
        distribution=Distribution.ORTHO,
        shape=(256, 768),
        exponent=8,
        stream=(0x8376290A, 0x851168B8, 0xF03D816B, 0x20ACCDDD),
        first_codes=(-4, -2, 0, -14, -4, -6, -16, 6),
        float32_sha256="ec6c00e48bdf4e581a1025579d4e55f4957a9ff13cde28be7bcbb30a359365d9",
        codes_sha256="2a69a24d53ae5b15336179ec6c4377bd59a06f75aee6c04b96ce336d2fc1fd4f",
    ),
    Vector(
        number=13,
        seed=7,
        name="layers.1.mlp.up.weight",
        distribution=Distribution.ORTHO,
        shape=(96, 32),
        exponent=6,
        stream=(0xEB0CFC25, 0x83B9880A, 0x46A976CC, 0x33DA36C3),
        first_codes=(-1, -9, 3, -3, -5, 3, 5, -3),
        float32_sha256="8f7cbde46601adc854068442017f90af5a99b320c0b7ffa8a03007288551483b",
        codes_sha256="516cee859941dc35edd51d316d76413e82598bc0440a1be68fd98cf26166f31d",
    ),
    Vector(
        number=14,
        seed=7,
        name="layers.2.mlp.down.weight",
        distribution=Distribution.ORTHO,
        shape=(320, 640),
        exponent=9,
        stream=(0x5FECE280, 0xA53DD9B3, 0x17EF8289, 0xBD524C9E),
        first_codes=(6, -30, 18, 38, -8, -36, 12, 16),
        float32_sha256="214961468f07d3999605b428ace31111d93828ea3bd5bb18a2c1443acf80c1c4",
        codes_sha256="abb78ae4665e60cf00c3647d4e65e975f430ef990c9d4e18b0454964f97a11bc",
    ),
)

# Random123's known answers for philox4x32-10: counter, key, output.
KNOWN_ANSWERS = (
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
)
