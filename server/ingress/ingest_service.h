// The service that gateways call. It takes requests as the bytes they are, so that events are
// parsed one by one: a bad one is then refused alone, and none is parsed twice.

#pragma once

#include <grpcpp/grpcpp.h>

#include "holdfast/v1/ingest.grpc.pb.h"
#include "server/ingress/door.h"

namespace holdfast::ingress {

// Thread-safe.
class IngestService final
    : public v1::IngestService::WithRawCallbackMethod_Write<
          v1::IngestService::WithRawCallbackMethod_Stream<v1::IngestService::Service>> {
 public:
  // `door` must outlive the service's last call.
  explicit IngestService(Door& door) : door_(door) {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Stream(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* Write(grpc::CallbackServerContext* context,
                                  const grpc::ByteBuffer* request,
                                  grpc::ByteBuffer* response) override;

 private:
  Door& door_;
};

}  // namespace holdfast::ingress
