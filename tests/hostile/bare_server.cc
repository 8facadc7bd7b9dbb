// A gRPC server that listens by itself, as any would: what the floods do where no gate is.
//
//   bare-server unix:/path/of/socket
//
// It has the limits that gRPC offers against such peers: a resource quota, few streams for a
// connection, small headers. Knows no method but those of the health service; ends when its
// standard input does.

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <cstdio>
#include <memory>

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ResourceQuota quota;
  quota.Resize(size_t{64} << 20);
  grpc::CallbackGenericService unknown;
  grpc::ServerBuilder builder;
  builder.RegisterCallbackGenericService(&unknown);
  builder.SetResourceQuota(quota);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 64);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 16 << 10);
  builder.AddListeningPort(argv[1], grpc::InsecureServerCredentials());
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  while (std::getchar() != EOF) {
  }
  return 0;
}
