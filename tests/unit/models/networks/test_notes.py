import numpy as np
import pytest
import torch

from models.bundle import load_bundle
from models.calibration import calibrated_logits
from models.tokens import NoteTokenizer

TEXTS = ["Patient admitted with fever and cough.", "Lungs clear.", "", "blood pressure low, heart rate high. " * 9]


@pytest.fixture
def encode(bundle):
    def run(texts, max_tokens=256):
        tokens = bundle.tokenizer.encode(texts, max_tokens)
        return bundle.notes(torch.from_numpy(tokens.ids), torch.from_numpy(tokens.mask)), tokens

    return run


def test_a_note_encodes_the_same_alone_as_padded_in_a_batch(encode):
    whole, _ = encode(TEXTS)
    for row, text in enumerate(TEXTS):
        alone, tokens = encode([text])
        for one, many in zip((alone.embedding, alone.logits), (whole.embedding, whole.logits), strict=True):
            torch.testing.assert_close(one[0], many[row], atol=1e-4, rtol=0)
        width = tokens.ids.shape[1]
        torch.testing.assert_close(alone.saliency[0], whole.saliency[row, :width], atol=1e-4, rtol=0)
        assert (whole.saliency[row, width:] == 0).all()


def test_ids_at_padding_do_not_matter(bundle):
    tokens = bundle.tokenizer.encode(TEXTS, 64)
    ids, mask = torch.from_numpy(tokens.ids), torch.from_numpy(tokens.mask)
    other = torch.where(mask, ids, 1_000_000)
    torch.testing.assert_close(bundle.notes(other, mask).logits, bundle.notes(ids, mask).logits)


def test_saliency_adds_up_to_the_highest_logit(bundle, encode):
    out, _ = encode(TEXTS)
    top = out.logits.argmax(1)
    expected = out.logits.max(1).values - bundle.notes.head.bias[top]
    torch.testing.assert_close(out.saliency.sum(1), expected, atol=1e-4, rtol=0)


def test_a_note_without_tokens_is_finite_and_empty(encode):
    out, tokens = encode([""])
    assert not tokens.mask.any()
    assert (out.embedding == 0).all()
    assert out.logits.isfinite().all()


def test_order_of_words_matters(encode):
    out, _ = encode(["fever no cough", "cough no fever"])
    assert (out.embedding[0] - out.embedding[1]).abs().max() > 1e-4


def test_offsets_point_into_the_text_as_written(bundle):
    text = "Äußerst  LOW Blood\tpressure"
    tokens = bundle.tokenizer.encode([text], 64)
    words = [text[start:end] for start, end in tokens.offsets[0]]
    assert "".join(words) == "".join(text.split())
    assert words[-2:] == ["Blood", "pressure"]


def test_long_text_is_cut_at_the_most_tokens(bundle):
    tokens = bundle.tokenizer.encode(["low blood pressure " * 20_000], 32)
    assert tokens.ids.shape == (1, 32)
    assert tokens.mask.all()


def test_text_far_beyond_the_most_tokens_is_not_even_read(bundle):
    assert not bundle.tokenizer.encode([" " * 300 + "fever"], 8).mask.any()
    assert bundle.tokenizer.encode([" " * 100 + "fever"], 8).mask.any()


def test_tokenizer_survives_a_round_trip(bundle, tmp_path):
    bundle.tokenizer.save(tmp_path / "tokenizer.json")
    again = NoteTokenizer.load(tmp_path / "tokenizer.json")
    for one, other in zip(again.encode(TEXTS, 64), bundle.tokenizer.encode(TEXTS, 64), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_batch_of_no_texts_is_empty(bundle):
    assert bundle.tokenizer.encode([], 16).ids.shape[0] == 0


def test_words_beyond_what_attention_reads_still_count(bundle, encode):
    start = "no acute distress. " * 80
    out, tokens = encode([start + "fever", start + "chest"], 2048)
    assert tokens.ids.shape[1] > bundle.notes.config.attended
    assert (out.embedding[0] - out.embedding[1]).abs().max() > 1e-3
    assert (out.saliency[:, -1] != 0).all()
    assert [start + "fever"][0][slice(*tokens.offsets[0, -1])] == "fever"


def test_weights_without_sections_say_so(bundle):
    with pytest.raises(ValueError, match="sections"):
        bundle.notes.sections(torch.zeros(1, 2, dtype=torch.long), torch.ones(1, 2, dtype=torch.bool))


SHORT_NOTES = (
    "Lungs clear.",
    "Comfortable overnight, mobilising to the bathroom with supervision.",
    "67 year old male. Impression: sepsis, likely urinary source. Plan: cultures, lactate, antibiotic, fluids.",
    "Chest pain since this morning, ECG normal, troponin pending. BP 120/80, HR 88.",
)
FOREIGN = (
    "Der Patient wurde mit Atemnot und Husten aufgenommen. Die Lunge ist frei, kein Fieber, Blutdruck stabil.",
    "Le patient est admis pour une dyspnée avec toux productive. Pas de fièvre, auscultation normale.",
    "El paciente ingresa con dificultad para respirar y tos. No tiene fiebre. Se inicia tratamiento antibiótico.",
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore.",
    "asdkfj qwoeiru zmxncv alskdjf qpwoeiru tyghbn asdkfj qwoeiru zmxncv alskdjf qpwoeiru tyghbn",
)


class TestShippedWeights:
    @pytest.fixture(scope="class")
    @staticmethod
    def run():
        shipped = load_bundle()

        def out(texts):
            tokens = shipped.tokenizer.encode(texts, shipped.notes.config.max_tokens)
            return shipped.notes(torch.from_numpy(tokens.ids), torch.from_numpy(tokens.mask))

        out.manifest = shipped.manifests["notes"]
        return out

    def test_other_languages_and_nonsense_are_foreign_and_short_notes_are_not(self, run):
        assert (run(FOREIGN).novelty > 1).all()
        assert (run(SHORT_NOTES).novelty < 1).all()

    def test_the_label_that_is_explained_is_the_most_probable_one(self, run):
        out = run(SHORT_NOTES)
        calibrated = calibrated_logits(out.logits.numpy(), run.manifest.labels, run.manifest.calibration)
        np.testing.assert_array_equal(calibrated.argmax(1), out.logits.argmax(1).numpy())

    @pytest.mark.parametrize(
        ("text", "label"),
        [
            ("Cystoscopy with removal of a bladder stone and ureteral stent placement.", "Urology"),
            ("Right total knee arthroplasty for degenerative joint disease.", "Orthopedic"),
            ("Colonoscopy to the cecum with biopsy of a sigmoid polyp.", "Gastroenterology"),
        ],
    )
    def test_plain_cases_are_told(self, run, text, label):
        probability = torch.sigmoid(run([text]).logits[0])
        assert probability[run.manifest.labels.index(label)] > 0.5
