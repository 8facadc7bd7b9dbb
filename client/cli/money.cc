#include "client/cli/money.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace holdfast::client {
namespace {

// A number as 0.DIGITS times ten to the power of `point`; no leading zero among the digits.
struct Decimal {
  bool negative = false;
  std::string digits;
  int64_t point = 0;
};

// Far outside of all that can be told from zero or infinity here.
constexpr int64_t kExponentMax = 1'000'000;

size_t TakeDigits(absl::string_view text, size_t at, std::string* digits) {
  while (at < text.size() && absl::ascii_isdigit(static_cast<unsigned char>(text[at]))) {
    digits->push_back(text[at++]);
  }
  return at;
}

// Whether `text` is a number in JSON's form, signs and leading zeros aside.
bool ParseDecimal(absl::string_view text, Decimal* decimal) {
  size_t at = 0;
  decimal->negative = !text.empty() && text[0] == '-';
  if (decimal->negative) ++at;
  const size_t whole = at;
  at = TakeDigits(text, at, &decimal->digits);
  if (at == whole) return false;
  decimal->point = static_cast<int64_t>(decimal->digits.size());
  if (at < text.size() && text[at] == '.') {
    const size_t fraction = at + 1;
    at = TakeDigits(text, fraction, &decimal->digits);
    if (at == fraction) return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    int64_t exponent = 0;
    absl::string_view rest = text.substr(at + 1);
    if (!rest.empty() && rest[0] == '+') rest.remove_prefix(1);
    if (rest.empty() || !absl::SimpleAtoi(rest, &exponent)) return false;
    decimal->point += std::clamp(exponent, -kExponentMax, kExponentMax);
    at = text.size();
  }
  const size_t zeros = std::min(decimal->digits.find_first_not_of('0'), decimal->digits.size());
  decimal->digits.erase(0, zeros);
  decimal->point -= static_cast<int64_t>(zeros);
  return at == text.size();
}

}  // namespace

absl::StatusOr<int64_t> MicrosFromDollars(absl::string_view dollars) {
  Decimal decimal;
  if (!ParseDecimal(dollars, &decimal)) {
    return absl::InvalidArgumentError("is not a number of dollars");
  }
  if (decimal.digits.empty()) return 0;
  if (decimal.negative) return absl::InvalidArgumentError("is negative; costs are 0 or more");
  const int64_t point = decimal.point + 6;  // Now 0.DIGITS * 10^point is in millionths.
  // 10^14 has fifteen digits; sixteen fit an int64_t with ease.
  if (point > 16) return absl::InvalidArgumentError("is more than 100000000 dollars");
  int64_t micros = 0;
  for (int64_t i = 0; i < point; ++i) {
    const auto at = static_cast<size_t>(i);
    micros = micros * 10 + (at < decimal.digits.size() ? decimal.digits[at] - '0' : 0);
  }
  if (point >= 0 && static_cast<size_t>(point) < decimal.digits.size() &&
      decimal.digits[static_cast<size_t>(point)] >= '5') {
    ++micros;
  }
  if (micros > kMicrosMax) {
    return absl::InvalidArgumentError("is more than 100000000 dollars");
  }
  return micros;
}

}  // namespace holdfast::client
