# The service alone: API, worker, migrations and the command line in one static binary.
FROM golang:1.26 AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '-s -w' -o /rollcall ./cmd/rollcall

# No shell, no package manager, certificates of the public authorities, uid 65532.
FROM gcr.io/distroless/static:nonroot
COPY --from=build /rollcall /rollcall
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["/rollcall", "health"]
ENTRYPOINT ["/rollcall"]
CMD ["serve"]
