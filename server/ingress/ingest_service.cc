#include "server/ingress/ingest_service.h"

#include "server/ingress/event_stream.h"
#include "server/ingress/unary_write.h"

namespace holdfast::ingress {

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* IngestService::Stream(
    grpc::CallbackServerContext* context) {
  return new EventStream(door_, context);  // Deletes itself.
}

grpc::ServerUnaryReactor* IngestService::Write(grpc::CallbackServerContext* context,
                                               const grpc::ByteBuffer* request,
                                               grpc::ByteBuffer* response) {
  return UnaryWrite::Begin(door_, context, request, response);
}

}  // namespace holdfast::ingress
