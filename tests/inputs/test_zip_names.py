from __future__ import annotations

import io
import struct
import zlib
from zipfile import ZipFile, ZipInfo

import pytest

from xray_classifier.errors import UnreadableImageError
from xray_classifier.inputs.zip_archive import Archive

SEVERAL = {
    "gb18030": [
        "胸片/张三.png",
        "患者/李小明_正位.dcm",
        "新建文件夹/肺炎1.jpg",
        "儿童胸部X光片.png",
    ],
    "cp950": ["胸部X光/王小明.png", "病人/陳大文.dcm", "新資料夾/肺炎.jpg", "功能.png"],
    "cp932": ["胸部X線/山田太郎.png", "新しいフォルダー/画像.jpg", "レントゲン.png", "表示/ソ.png"],
    "cp949": ["흉부/김철수.png", "환자/이영희.dcm", "새 폴더/폐렴.jpg", "사진.png"],
    "cp866": ["снимок/Иванов.png", "Новая папка/грудная клетка.jpg", "пациент1.dcm"],
    "cp437": ["Thorax/Müller.png", "école/été.png", "niño.png", "Ärzte/größe.jpg", "à droite.png"],
    "cp850": ["São João/criança.png", "Ødegård.png", "tórax.jpg"],
    "cp1252": ["Müller.png", "été/école.png", "niño.jpg"],
    "utf-8": ["胸片.png", "été.png", "김철수.png"],
}
ALONE = {
    "gb18030": ["胸片.png", "王芳.jpg", "肺炎（细菌）.png", "微信图片_20210304.jpg", "滕琪.png"],
    "cp950": ["圖片.png", "掃描.jpg", "蔡英文.jpg", "兒童.png", "黃曉明.png"],
    "cp932": ["患者.png", "表.png", "佐藤.png", "テスト.png", "コピー.png", "東京.png"],
    "cp949": ["정상1.png", "박민준.png", "엑스레이.jpg", "응급실.png"],
    "cp866": ["Рентген.png", "Ольга.png", "лёгкие.png", "Снимок экрана.png"],
    "cp437": [
        "Müller.png",
        "niño.png",
        "pâte.png",
        "Zoë.png",
        "Élodie.png",
        "SEÑOR.png",
        "Süß.png",
    ],
    "cp850": ["São João.png", "pulmão.png", "Bjørn.jpg"],
    "cp1252": ["Größe.png", "hôpital.png", "José.png"],
}


def packed(names: list[bytes], flag: int = 0, extra: bytes = b"") -> bytes:
    """An archive whose members have these bytes for names, and their number as content."""
    stream = io.BytesIO()
    with ZipFile(stream, "w") as archive:
        for number, name in enumerate(names):
            info = ZipInfo(str(number).rjust(len(name), "~"))
            info.extra = extra
            archive.writestr(info, str(number))
    data = bytearray(stream.getvalue())
    for mark, flags, start in ((b"PK\3\4", 6, 30), (b"PK\1\2", 8, 46)):
        place = 0
        for name in names:
            place = data.index(mark, place)
            (old,) = struct.unpack_from("<H", data, place + flags)
            struct.pack_into("<H", data, place + flags, old & ~0x800 | flag)
            data[place + start : place + start + len(name)] = name
            place += start
    return bytes(data)


def shown(names: list[bytes], flag: int = 0, extra: bytes = b"") -> list[str]:
    """The names that come back, in the order of the members."""
    archive = Archive(packed(names, flag, extra))
    return sorted(archive.members, key=lambda name: int(archive.read(name)))


# Guesses


@pytest.mark.parametrize("code", SEVERAL)
def test_names_of_an_archive_are_shown_as_written(code: str) -> None:
    names = SEVERAL[code]
    assert shown([name.encode(code) for name in names]) == names


@pytest.mark.parametrize(("code", "name"), [(code, name) for code in ALONE for name in ALONE[code]])
def test_a_single_name_is_shown_as_written(code: str, name: str) -> None:
    assert shown([name.encode(code)]) == [name]


@pytest.mark.parametrize("code", SEVERAL)
def test_ascii_names_beside_them_change_nothing(code: str) -> None:
    names = [*SEVERAL[code], *(f"img{number}.png" for number in range(20))]
    assert shown([name.encode(code) for name in names]) == names


def test_one_guess_holds_for_all_names_of_an_archive() -> None:
    """Alone the first is taken for GBK."""
    alone, clear = "測試.png".encode("cp950"), "胸部X光片/王小明.png".encode("cp950")
    assert shown([alone]) == ["代刚.png"]
    assert shown([alone, clear]) == ["測試.png", "胸部X光片/王小明.png"]


def test_a_backslash_within_a_character_divides_no_path() -> None:
    name = "表示/ソフト.png"  # 表 and ソ end in the byte of a backslash
    assert b"\\" in name.encode("cp932")
    assert shown([name.encode("cp932")]) == [name]


def test_names_that_make_no_sense_are_read_as_the_standard_says() -> None:
    assert shown([b"\xb0\xb1\xb2.png", b"\xff.png"]) == ["░▒▓.png", "\xa0.png"]


def test_very_many_names_are_guessed_too() -> None:
    names = [f"患者{number}/胸片.png".encode("gb18030") for number in range(9000)]
    assert shown(names)[8999] == "患者8999/胸片.png"


# What says its code


def test_marked_names_are_utf_8_and_do_not_count_in_the_guess() -> None:
    assert shown(["тон é 表.png".encode()], flag=0x800) == ["тон é 表.png"]


def unicode_path(name: bytes, text: bytes, version: int = 1) -> bytes:
    field = struct.pack("<BL", version, zlib.crc32(name)) + text
    return struct.pack("<HH", 0x7075, len(field)) + field


def test_unicode_path_of_info_zip_is_believed() -> None:
    name = b"??.png"
    assert shown([name], extra=unicode_path(name, "胸片.png".encode())) == ["胸片.png"]


@pytest.mark.parametrize(
    "field",
    [
        unicode_path(b"another", "胸片.png".encode()),  # renamed since
        unicode_path(b"\x82.png", "胸片.png".encode(), version=2),
        unicode_path(b"\x82.png", b"\xff.png"),
        struct.pack("<HH", 0x7075, 3) + b"\1\2\3",
        struct.pack("<HH", 0x9999, 0),
    ],
)
def test_unicode_path_that_does_not_fit_is_not(field: bytes) -> None:
    assert shown([b"\x82.png"], extra=field) == ["é.png"]


# Security


@pytest.mark.parametrize("code", ["gb18030", "cp932", "cp949", "cp950", "cp866", "cp437"])
@pytest.mark.parametrize("way", ["../{}.png", "{}/../../x", "..\\{}.png", "/{}", "C:\\{}.png"])
def test_name_that_leads_out_is_refused_in_every_code(code: str, way: str) -> None:
    words = {"gb18030": "胸片", "cp932": "表", "cp949": "사진", "cp950": "功能", "cp866": "снимок"}
    archive = Archive(packed([way.format(words.get(code, "été")).encode(code)]))
    (name,) = archive.members
    with pytest.raises(UnreadableImageError, match="leads out of the ZIP"):
        archive.read(name)


def test_unicode_path_that_leads_out_is_refused() -> None:
    archive = Archive(packed([b"a.png"], extra=unicode_path(b"a.png", b"../../a.png")))
    (name,) = archive.members
    with pytest.raises(UnreadableImageError, match="leads out of the ZIP"):
        archive.read(name)


@pytest.mark.parametrize("text", [".hidden.png", "__MACOSX/a.png", ""])
def test_unicode_path_that_is_hidden_is_passed_over(text: str) -> None:
    extra = unicode_path(b"a.png", text.encode())
    with pytest.raises(UnreadableImageError, match="holds no files"):
        Archive(packed([b"a.png"], extra=extra))


def test_what_follows_a_null_byte_is_no_part_of_a_name() -> None:
    assert shown(["胸片.png".encode("gb18030") + b"\0.exe"]) == ["胸片.png"]
    extra = unicode_path(b"a.png", "胸片.png\0.exe".encode())
    assert shown([b"a.png"], extra=extra) == ["胸片.png"]
