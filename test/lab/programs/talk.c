/* Sends its third argument to the host and port before it, which the C library looks up, ends its half, and prints what comes back. */
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    char buffer[4096];
    ssize_t got;
    int error, fd = -1;

    if (argc != 4)
        return 2;
    error = getaddrinfo(argv[1], argv[2], &hints, &found);
    if (error != 0) {
        fprintf(stderr, "%s: %s\n", argv[1], gai_strerror(error));
        return 1;
    }
    for (struct addrinfo *one = found; one != NULL && fd < 0; one = one->ai_next) {
        fd = socket(one->ai_family, one->ai_socktype, one->ai_protocol);
        if (fd >= 0 && connect(fd, one->ai_addr, one->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    if (fd < 0 || write(fd, argv[3], strlen(argv[3])) != (ssize_t)strlen(argv[3]) || shutdown(fd, SHUT_WR) != 0) {
        perror(argv[1]);
        return 1;
    }
    while ((got = read(fd, buffer, sizeof buffer)) > 0)
        if (write(STDOUT_FILENO, buffer, (size_t)got) != got)
            return 1;
    return got < 0;
}
