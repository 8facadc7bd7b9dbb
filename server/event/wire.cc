#include "server/event/wire.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <climits>

namespace holdfast::event {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

bool WireReader::Next(WireField* field) {
  ok_ = ok_ && message_.size() <= INT_MAX;
  while (ok_ && position_ < message_.size()) {
    const absl::string_view rest = message_.substr(position_);
    CodedInputStream in(reinterpret_cast<const uint8_t*>(rest.data()),
                        static_cast<int>(rest.size()));
    const uint32_t tag = in.ReadTag();
    const WireFormatLite::WireType type = WireFormatLite::GetTagWireType(tag);
    bool wanted = false;
    if (WireFormatLite::GetTagFieldNumber(tag) == 0) {  // Also where no tag could be read.
      ok_ = false;
    } else if (type == WireFormatLite::WIRETYPE_VARINT) {
      wanted = ok_ = in.ReadVarint64(&field->varint);
    } else if (type == WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
      uint64_t length = 0;
      ok_ = in.ReadVarint64(&length) && length <= rest.size();
      const int start = in.CurrentPosition();
      wanted = ok_ = ok_ && in.Skip(static_cast<int>(length));
      if (ok_) field->bytes = rest.substr(static_cast<size_t>(start), length);
    } else {
      ok_ = WireFormatLite::SkipField(&in, tag);
    }
    if (!ok_) return false;
    field->number = WireFormatLite::GetTagFieldNumber(tag);
    field->is_bytes = type == WireFormatLite::WIRETYPE_LENGTH_DELIMITED;
    field->whole = rest.substr(0, static_cast<size_t>(in.CurrentPosition()));
    position_ += field->whole.size();
    if (wanted) return true;
  }
  return false;
}

}  // namespace holdfast::event
