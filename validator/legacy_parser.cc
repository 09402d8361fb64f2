// SPDX-License-Identifier: MIT
// The proof's own JSON parser: RapidJSON's SAX reader, in place, numbers kept as text.

// RapidJSON's assertions guard against misuse of its API; what a file holds ends in an error code, never in an abort.
#define RAPIDJSON_ASSERT(x)     ((void)0)
#define RAPIDJSON_HAS_STDSTRING 0
#ifdef __SSE2__
#define RAPIDJSON_SSE2
#endif

#include "validator/legacy_parser.h"

//  DESIGN
//
//  The records of a stream have the same shape: between their values stand the same bytes (braces, names, colons, commas,
//  white space), and most values are null, an integer, or text without an escape. So the bytes between the values of a
//  record that RapidJSON has accepted are kept, its frame. A record is first held against it: where the same bytes stand
//  in the same order, and between them such values, the record is what RapidJSON would say, as a complete value in place
//  of another changes neither the names nor what is around it. Whatever else it is, down to one space more, RapidJSON
//  reads it; nothing has been overwritten by then. So the frame is a memory of the reader's verdicts, never a verdict of
//  its own: it is taken only from a record whose names are all known, none of them twice, and whose values are flat.

#include <rapidjson/error/en.h>
#include <rapidjson/reader.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <endian.h>

namespace {

// Containers nested deeper than this are no record: the reader recurses.
constexpr size_t kMaxDepth = 1024;

constexpr unsigned kFlags =
    rapidjson::kParseInsituFlag | rapidjson::kParseNumbersAsStringsFlag | rapidjson::kParseStopWhenDoneFlag;

} // namespace

// Fields of a frame; bytes of a record that one is taken from, and of one piece: reading that far beyond the data is allowed.
constexpr size_t kFrameMax = 64;
constexpr size_t kSampleBytes = 8192;
constexpr size_t kPieceBytes = PR_LEGACY_PADDING;
// Records to be read without one after a frame did not fit, at most.
constexpr unsigned kPatienceMax = 63;

// The bytes before a value and the field it is of; the last piece closes the record.
struct Piece {
    char bytes[kPieceBytes];
    size_t size;
    size_t field;
};

struct pr_legacy_parser {
    const char *const *names;
    size_t *sizes;
    size_t count;
    pr_legacy_field_t *fields;
    Piece *pieces;       // kFrameMax + 1 of them
    size_t pieces_count; // 0: no frame
    unsigned patience;   // records to let pass before a frame is taken
    unsigned backoff;
    char *sample; // a record as it stood in the file
};

namespace {

// Bytes of the UTF-8 character that begins at text; 0: none does.
size_t CharacterSize(const unsigned char *text, size_t size) {
    unsigned char first = text[0];
    size_t need = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
    if (need == 0 || need > size)
        return 0;
    for (size_t i = 1; i < need; i++)
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    bool overlong = (first == 0xE0 && text[1] < 0xA0) || (first == 0xF0 && text[1] < 0x90);
    bool surrogate = first == 0xED && text[1] > 0x9F;
    bool beyond = first == 0xF4 && text[1] > 0x8F;
    return overlong || surrogate || beyond ? 0 : need;
}

// Receives the reader's events and fills the parser's fields.
class Handler {
  public:
    explicit Handler(pr_legacy_parser &parser, pr_legacy_record_t &record) : parser_(parser), record_(record) {
    }

    bool Null() {
        return Value(PR_LEGACY_NULL, nullptr, 0);
    }
    bool Bool(bool) {
        return Value(PR_LEGACY_BOOLEAN, nullptr, 0);
    }
    bool RawNumber(const char *text, rapidjson::SizeType size, bool) {
        return Value(PR_LEGACY_NUMBER, text, size);
    }
    bool String(const char *text, rapidjson::SizeType size, bool) {
        return Value(PR_LEGACY_TEXT, text, size);
    }
    bool StartObject() {
        return Open();
    }
    bool EndObject(rapidjson::SizeType) {
        depth_--;
        return true;
    }
    bool StartArray() {
        return depth_ > 0 && Open();
    }
    bool EndArray(rapidjson::SizeType) {
        depth_--;
        return true;
    }
    bool Key(const char *text, rapidjson::SizeType size, bool) {
        if (depth_ != 1)
            return true;
        field_ = Find(text, size);
        if (field_ == nullptr && record_.unknown == nullptr) {
            record_.unknown = text;
            record_.unknown_size = size;
        }
        return true;
    }

    // Numbers arrive as text, so these are never called; the reader wants them to exist.
    bool Int(int) {
        return false;
    }
    bool Uint(unsigned) {
        return false;
    }
    bool Int64(int64_t) {
        return false;
    }
    bool Uint64(uint64_t) {
        return false;
    }
    bool Double(double) {
        return false;
    }

  private:
    bool Value(pr_legacy_kind_t kind, const char *text, size_t size) {
        if (depth_ == 0)
            return false; // a record is an object
        if (depth_ == 1)
            Keep(kind, text, size);
        return true;
    }
    bool Open() {
        if (depth_ == 1)
            Keep(PR_LEGACY_CONTAINER, nullptr, 0);
        return ++depth_ <= kMaxDepth;
    }
    void Keep(pr_legacy_kind_t kind, const char *text, size_t size) {
        if (field_ == nullptr)
            return;
        field_->twice = field_->kind != PR_LEGACY_ABSENT;
        field_->kind = kind;
        field_->text = text;
        field_->size = size;
    }
    // Records of a stream have the same fields in the same order: look where the last one points first.
    pr_legacy_field_t *Find(const char *text, size_t size) {
        for (size_t i = 0; i < parser_.count; i++) {
            size_t at = next_ + i < parser_.count ? next_ + i : next_ + i - parser_.count;
            if (parser_.sizes[at] == size && std::memcmp(parser_.names[at], text, size) == 0) {
                next_ = at + 1 < parser_.count ? at + 1 : 0;
                return &parser_.fields[at];
            }
        }
        return nullptr;
    }

    pr_legacy_parser &parser_;
    pr_legacy_record_t &record_;
    pr_legacy_field_t *field_ = nullptr;
    size_t next_ = 0;
    size_t depth_ = 0;
};

// --- The frame ---

constexpr uint64_t Repeat(unsigned char byte) {
    return UINT64_C(0x0101010101010101) * byte;
}

// The high bit of each byte that is less than limit (at most 128). Bytes above such a one can be told wrongly, as it
// borrows from them: the lowest is right.
constexpr uint64_t Below(uint64_t word, unsigned char limit) {
    return (word - Repeat(limit)) & ~word & Repeat(0x80);
}

// Where text that begins at `at` ends, at its closing quote; nullptr: it has an escape, a control character, or no end.
const char *PlainEnd(const char *at) {
    for (;; at += sizeof(uint64_t)) {
        uint64_t word = 0;
        std::memcpy(&word, at, sizeof word);
        word = le64toh(word); // the first byte is the lowest
        uint64_t special = Below(word, 0x20) | Below(word ^ Repeat('"'), 1) | Below(word ^ Repeat('\\'), 1);
        if (special != 0) {
            at += __builtin_ctzll(special) / 8;
            return *at == '"' ? at : nullptr;
        }
    }
}

// Where an integer that begins at `at` ends; nullptr: it is none, or so long that its fate is RapidJSON's to tell. What
// follows it is the next piece's affair.
const char *IntegerEnd(const char *at) {
    constexpr long kDigitsMax = 18;
    at += *at == '-';
    if (*at == '0')
        return at + 1;
    const char *begin = at;
    while (*at >= '0' && *at <= '9' && at - begin <= kDigitsMax)
        at++;
    return at > begin && at - begin <= kDigitsMax ? at : nullptr;
}

// Take the value at `at`; nullptr: it is none of the plain ones. Returns where it ends.
const char *TakePlain(const char *at, pr_legacy_field_t &field) {
    const char *end = nullptr;
    if (*at == '"') {
        end = PlainEnd(at + 1);
        if (end == nullptr)
            return nullptr;
        field = {PR_LEGACY_TEXT, false, at + 1, static_cast<size_t>(end - at - 1)};
        return end + 1;
    }
    if (*at == 'n') {
        field = {PR_LEGACY_NULL, false, nullptr, 0};
        return std::memcmp(at, "null", 4) == 0 ? at + 4 : nullptr;
    }
    end = IntegerEnd(at);
    if (end != nullptr)
        field = {PR_LEGACY_NUMBER, false, at, static_cast<size_t>(end - at)};
    return end;
}

// Hold a record against the frame. Returns its bytes; 0: it does not fit, the fields are spoilt.
size_t TakeFramed(pr_legacy_parser &parser, const char *data) {
    const char *at = data;
    for (size_t i = 0; i + 1 < parser.pieces_count; i++) {
        const Piece &piece = parser.pieces[i];
        if (std::memcmp(at, piece.bytes, piece.size) != 0)
            return 0;
        at = TakePlain(at + piece.size, parser.fields[piece.field]);
        if (at == nullptr)
            return 0;
    }
    const Piece &last = parser.pieces[parser.pieces_count - 1];
    return std::memcmp(at, last.bytes, last.size) == 0 ? static_cast<size_t>(at + last.size - data) : 0;
}

// Past the text whose opening quote is at `at`. Of a record that has been parsed, as the next ones.
const char *SkipText(const char *at) {
    for (at++; *at != '"'; at++)
        at += *at == '\\';
    return at + 1;
}

const char *SkipTo(const char *at, char wanted) {
    while (*at != wanted)
        at++;
    return at;
}

const char *SkipSpace(const char *at) {
    while (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')
        at++;
    return at;
}

const char *SkipValue(const char *at) {
    if (*at == '"')
        return SkipText(at);
    while (*at != ',' && *at != '}' && *at != ' ' && *at != '\n' && *at != '\r' && *at != '\t')
        at++;
    return at;
}

bool AddPiece(pr_legacy_parser &parser, const char *begin, const char *end, size_t field) {
    auto size = static_cast<size_t>(end - begin);
    if (size > kPieceBytes || parser.pieces_count == kFrameMax + 1)
        return false;
    Piece &piece = parser.pieces[parser.pieces_count++];
    std::memcpy(piece.bytes, begin, size);
    piece.size = size;
    piece.field = field;
    return true;
}

size_t FieldOf(const pr_legacy_parser &parser, const char *name, size_t size) {
    for (size_t i = 0; i < parser.count; i++)
        if (parser.sizes[i] == size && std::memcmp(parser.names[i], name, size) == 0)
            return i;
    return parser.count;
}

// The frame of a flat record that RapidJSON accepted. Returns false if it has none.
bool TakeFrame(pr_legacy_parser &parser, const char *record) {
    const char *from = record;
    const char *at = SkipSpace(record + 1);
    if (*at == '}')
        return false;
    for (;;) {
        const char *name = at + 1;
        at = SkipText(at);
        size_t field = FieldOf(parser, name, static_cast<size_t>(at - name - 1));
        if (field == parser.count) // its name is written with escapes
            return false;
        at = SkipSpace(SkipTo(at, ':') + 1);
        if (!AddPiece(parser, from, at, field))
            return false;
        from = SkipValue(at);
        at = SkipSpace(from);
        if (*at == '}')
            return AddPiece(parser, from, at + 1, 0);
        at = SkipSpace(at + 1);
    }
}

bool IsFlat(const pr_legacy_parser &parser, const pr_legacy_record_t &record) {
    if (record.error != nullptr || record.unknown != nullptr)
        return false;
    for (size_t i = 0; i < parser.count; i++)
        if (parser.fields[i].twice || parser.fields[i].kind == PR_LEGACY_CONTAINER)
            return false;
    return true;
}

// The record did not fit the frame, or there is none: when is a new one to be taken?
bool WantsFrame(pr_legacy_parser &parser) {
    if (parser.patience > 0) {
        parser.patience--;
        return false;
    }
    parser.backoff = parser.backoff < kPatienceMax ? parser.backoff * 2 + 1 : kPatienceMax;
    parser.patience = parser.backoff;
    return true;
}

void Learn(pr_legacy_parser &parser, const pr_legacy_record_t &record) {
    if (record.used > kSampleBytes || parser.sample[0] != '{' || !IsFlat(parser, record))
        return;
    parser.pieces_count = 0;
    if (!TakeFrame(parser, parser.sample))
        parser.pieces_count = 0;
}

// RapidJSON's verdict.
void Read(pr_legacy_parser &parser, char *data, bool utf8, pr_legacy_record_t &record) {
    Handler handler(parser, record);
    rapidjson::Reader reader;
    rapidjson::InsituStringStream stream(data);
    rapidjson::ParseResult result = utf8
                                        ? reader.Parse<kFlags>(stream, handler)
                                        : reader.Parse<kFlags | rapidjson::kParseValidateEncodingFlag>(stream, handler);
    if (result.IsError())
        record.error = result.Code() == rapidjson::kParseErrorTermination ? "It is not an object, or nested too deeply."
                                                                          : rapidjson::GetParseError_En(result.Code());
    record.used = stream.Tell();
}

} // namespace

extern "C" {

pr_legacy_parser_t *pr_legacy_parser_new(const char *const *names, size_t count) {
    auto *parser = static_cast<pr_legacy_parser_t *>(std::calloc(1, sizeof(pr_legacy_parser_t)));
    if (parser == nullptr)
        std::abort();
    parser->names = names;
    parser->count = count;
    parser->sizes = static_cast<size_t *>(std::calloc(count + 1, sizeof(size_t)));
    parser->fields = static_cast<pr_legacy_field_t *>(std::calloc(count + 1, sizeof(pr_legacy_field_t)));
    parser->pieces = static_cast<Piece *>(std::calloc(kFrameMax + 1, sizeof(Piece)));
    parser->sample = static_cast<char *>(std::calloc(kSampleBytes, 1));
    if (parser->sizes == nullptr || parser->fields == nullptr || parser->pieces == nullptr || parser->sample == nullptr)
        std::abort();
    for (size_t i = 0; i < count; i++)
        parser->sizes[i] = std::strlen(names[i]);
    return parser;
}

void pr_legacy_parser_destroy(pr_legacy_parser_t **parser) {
    if (parser == nullptr || *parser == nullptr)
        return;
    std::free((*parser)->sizes);
    std::free((*parser)->fields);
    std::free((*parser)->pieces);
    std::free((*parser)->sample);
    std::free(*parser);
    *parser = nullptr;
}

bool pr_legacy_is_utf8(const char *data, size_t size) {
    const auto *at = reinterpret_cast<const unsigned char *>(data);
    const unsigned char *end = at + size;
    while (at < end) {
        uint64_t words[4];
        if (end - at >= 32 && (std::memcpy(words, at, 32),
                               ((words[0] | words[1] | words[2] | words[3]) & UINT64_C(0x8080808080808080)) == 0)) {
            at += 32;
            continue;
        }
        size_t character = CharacterSize(at, static_cast<size_t>(end - at));
        if (character == 0)
            return false;
        at += character;
    }
    return true;
}

bool pr_legacy_parse(pr_legacy_parser_t *parser, char *data, bool utf8, pr_legacy_record_t *ret_record) {
    pr_legacy_record_t record{};
    record.fields = parser->fields;
    std::memset(parser->fields, 0, parser->count * sizeof *parser->fields);
    if (utf8 && parser->pieces_count > 0)
        record.used = TakeFramed(*parser, data);
    if (record.used == 0) {
        bool wanted = utf8 && WantsFrame(*parser);
        if (wanted)
            std::memcpy(parser->sample, data, strnlen(data, kSampleBytes));
        std::memset(parser->fields, 0, parser->count * sizeof *parser->fields);
        Read(*parser, data, utf8, record);
        if (wanted)
            Learn(*parser, record);
    } else {
        parser->backoff = 0;
    }
    *ret_record = record;
    return record.error == nullptr;
}
}
