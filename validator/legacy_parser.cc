// SPDX-License-Identifier: MIT
// The proof's own JSON parser: RapidJSON's SAX reader, in place, numbers kept as text.

// RapidJSON's assertions guard against misuse of its API; what a file holds ends in an error code, never in an abort.
#define RAPIDJSON_ASSERT(x)     ((void)0)
#define RAPIDJSON_HAS_STDSTRING 0
#ifdef __SSE2__
#define RAPIDJSON_SSE2
#endif

#include "validator/legacy_parser.h"

#include <rapidjson/error/en.h>
#include <rapidjson/reader.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace {

// Containers nested deeper than this are no record: the reader recurses.
constexpr size_t kMaxDepth = 1024;

constexpr unsigned kFlags =
    rapidjson::kParseInsituFlag | rapidjson::kParseNumbersAsStringsFlag | rapidjson::kParseStopWhenDoneFlag;

} // namespace

struct pr_legacy_parser {
    const char *const *names;
    size_t *sizes;
    size_t count;
    pr_legacy_field_t *fields;
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
    if (parser->sizes == nullptr || parser->fields == nullptr)
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
    std::free(*parser);
    *parser = nullptr;
}

bool pr_legacy_is_utf8(const char *data, size_t size) {
    const auto *at = reinterpret_cast<const unsigned char *>(data);
    const unsigned char *end = at + size;
    while (at < end) {
        uint64_t eight = 0;
        if (end - at >= 8 && (std::memcpy(&eight, at, 8), (eight & UINT64_C(0x8080808080808080)) == 0)) {
            at += 8;
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
    std::memset(parser->fields, 0, parser->count * sizeof *parser->fields);
    pr_legacy_record_t record{};
    record.fields = parser->fields;
    Handler handler(*parser, record);
    rapidjson::Reader reader;
    rapidjson::InsituStringStream stream(data);
    rapidjson::ParseResult result = utf8
                                        ? reader.Parse<kFlags>(stream, handler)
                                        : reader.Parse<kFlags | rapidjson::kParseValidateEncodingFlag>(stream, handler);
    if (result.IsError())
        record.error = result.Code() == rapidjson::kParseErrorTermination ? "It is not an object, or nested too deeply."
                                                                          : rapidjson::GetParseError_En(result.Code());
    record.used = stream.Tell();
    *ret_record = record;
    return record.error == nullptr;
}
}
