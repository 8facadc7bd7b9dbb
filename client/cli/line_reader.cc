#include "client/cli/line_reader.h"

#include <sys/stat.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace holdfast::client {
namespace {

// What some editors write at the beginning of a file in UTF-8.
constexpr char kByteOrderMark[] = "\xEF\xBB\xBF";

std::string Reason(int error) { return std::generic_category().message(error); }

}  // namespace

absl::StatusOr<LineReader> LineReader::Open(const std::string& path, size_t line_bytes_max) {
  if (path == "-") return LineReader(stdin, "standard input", line_bytes_max);
  LineReader reader(std::fopen(path.c_str(), "re"), path, line_bytes_max);
  int error = reader.file_ == nullptr ? errno : 0;
  struct stat about {};
  if (error == 0 && fstat(fileno(reader.file_.get()), &about) == 0 && S_ISDIR(about.st_mode)) {
    error = EISDIR;
  }
  if (error != 0) {
    return absl::NotFoundError(absl::StrCat(path, " cannot be read (", Reason(error),
                                            "); is the name right, and may you read it?"));
  }
  return reader;
}

LineReader::Read LineReader::Next(std::string* line) {
  line->clear();
  bool too_long = false;
  int character = EOF;
  // Unlocked: this thread is the only one that reads.
  while ((character = getc_unlocked(file_.get())) != EOF && character != '\n') {
    too_long = too_long || line->size() == line_bytes_max_;
    if (!too_long) line->push_back(static_cast<char>(character));
  }
  if (std::ferror(file_.get()) != 0) {
    // The line may have been cut short: it is not one.
    status_ = absl::DataLossError(absl::StrCat(path_, " cannot be read on (", Reason(errno), ")"));
    return Read::kEnd;
  }
  if (character == EOF && line->empty() && !too_long) return Read::kEnd;
  if (std::exchange(first_, false) && absl::StartsWith(*line, kByteOrderMark)) line->erase(0, 3);
  return too_long ? Read::kTooLong : Read::kLine;
}

}  // namespace holdfast::client
