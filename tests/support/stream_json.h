/* A JSON reader of just what a subscriber needs: members of objects, elements of arrays, whole numbers, texts. */

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *at, *end;
} Text;

static const char *skip_space(const char *at, const char *end) {
    while (at < end && isspace((unsigned char)*at)) at++;
    return at;
}

static const char *skip_string(const char *at, const char *end) {
    for (at++; at < end && *at != '"'; at++)
        if (*at == '\\') at++;
    return at < end ? at + 1 : end;
}

static const char *skip_value(const char *at, const char *end) {
    int depth = 0;
    at = skip_space(at, end);
    do {
        if (at >= end) return end;
        if (*at == '"') {
            at = skip_string(at, end);
            continue;
        }
        if (*at == '{' || *at == '[') depth++;
        if (*at == '}' || *at == ']') {
            if (depth == 0) return at;
            depth--;
        }
        if (depth == 0 && *at == ',') return at;
        at++;
    } while (depth > 0 || (at < end && *at != ',' && *at != '}' && *at != ']'));
    return at;
}

/* Give the member of an object by its name; absent: false. */
static bool member(Text object, const char *name, Text *value) {
    const char *at = skip_space(object.at, object.end), *end = object.end;
    if (at >= end || *at != '{') return false;
    at = skip_space(at + 1, end);
    while (at < end && *at == '"') {
        const char *key = at + 1, *key_end = skip_string(at, end) - 1;
        at = skip_space(key_end + 1, end);
        if (at >= end || *at != ':') return false;
        value->at = skip_space(at + 1, end);
        value->end = at = skip_value(at + 1, end);
        if ((size_t)(key_end - key) == strlen(name) && !memcmp(key, name, strlen(name))) return true;
        at = skip_space(at, end);
        if (at < end && *at == ',') at = skip_space(at + 1, end);
    }
    return false;
}

/* Step through an array: begin with *at = NULL; false behind the last element. */
static bool element(Text array, const char **at, Text *value) {
    const char *next = *at ? skip_space(*at, array.end) : skip_space(array.at, array.end);
    if (next >= array.end || *next == ']' || (*at && *next != ',') || (!*at && *next != '[')) return false;
    value->at = skip_space(next + 1, array.end);
    if (value->at >= array.end || *value->at == ']') return false;
    value->end = *at = skip_value(next + 1, array.end);
    return true;
}

static long long whole(Text value) {
    char digits[32] = {0};
    size_t length = (size_t)(value.end - value.at);
    memcpy(digits, value.at, length < 31 ? length : 31);
    return strtoll(digits, NULL, 10);
}

static bool is_text(Text value, const char *expected) {
    size_t length = strlen(expected);
    return (size_t)(value.end - value.at) >= length + 2 && value.at[0] == '"' &&
           !memcmp(value.at + 1, expected, length) && value.at[length + 1] == '"';
}

static long long number_of(Text object, const char *name, long long otherwise) {
    Text value;
    return member(object, name, &value) ? whole(value) : otherwise;
}
