/* Looks names up through the C library's own resolver: one line for each address. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    int status = 0;

    for (int i = 1; i < argc; i++) {
        int error = getaddrinfo(argv[i], NULL, &hints, &found);
        if (error != 0) {
            fprintf(stderr, "%s: %s\n", argv[i], gai_strerror(error));
            status = 1;
            continue;
        }
        for (struct addrinfo *one = found; one != NULL; one = one->ai_next) {
            char text[INET6_ADDRSTRLEN] = "?";
            const void *address = one->ai_family == AF_INET6
                                      ? (const void *)&((struct sockaddr_in6 *)(void *)one->ai_addr)->sin6_addr
                                      : (const void *)&((struct sockaddr_in *)(void *)one->ai_addr)->sin_addr;
            inet_ntop(one->ai_family, address, text, sizeof text);
            printf("%s %s\n", argv[i], text);
        }
        freeaddrinfo(found);
    }
    return status;
}
