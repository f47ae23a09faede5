// hiredis through the commands: hiredis_client HOST PORT SIZE...; exit status 0 when every reply was right.
#include <hiredis.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static redisContext *context;

static void fail(const char *what, redisReply *reply) {
    fprintf(stderr, "%s: %s (type %d, %lld)\n", what,
            reply ? (reply->str && reply->len < 200 ? reply->str : "unexpected") : context->errstr,
            reply ? reply->type : -1, reply ? reply->integer : 0LL);
    exit(1);
}

static redisReply *call(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    redisReply *reply = redisvCommand(context, format, arguments);
    va_end(arguments);
    if (reply == NULL) fail(format, NULL);
    return reply;
}

static void expect_status(redisReply *reply, const char *text) {
    if (reply->type != REDIS_REPLY_STATUS || strcmp(reply->str, text) != 0) fail(text, reply);
    freeReplyObject(reply);
}

static void expect_integer(redisReply *reply, long long value) {
    if (reply->type != REDIS_REPLY_INTEGER || reply->integer != value) fail("integer", reply);
    freeReplyObject(reply);
}

// Seconds of so many are left; the machine may have been busy with something else for some of them.
static void expect_remaining(redisReply *reply, long long seconds) {
    if (reply->type != REDIS_REPLY_INTEGER || reply->integer > seconds || reply->integer < seconds - 300)
        fail("remaining", reply);
    freeReplyObject(reply);
}

static void expect_bytes(redisReply *reply, const char *bytes, size_t count) {
    if (reply->type != REDIS_REPLY_STRING || (size_t)reply->len != count || memcmp(reply->str, bytes, count) != 0)
        fail("bytes", reply);
    freeReplyObject(reply);
}

static void expect_nil(redisReply *reply) {
    if (reply->type != REDIS_REPLY_NIL) fail("nil", reply);
    freeReplyObject(reply);
}

static void expect_error(redisReply *reply, const char *text) {
    if (reply->type != REDIS_REPLY_ERROR || strstr(reply->str, text) == NULL) fail(text, reply);
    freeReplyObject(reply);
}

static void values(size_t size) {
    char *value = malloc(size + 1), *other = malloc(size + 1);
    for (size_t i = 0; i < size; i++) {
        value[i] = (char)(i * 2654435761u >> 13);
        other[i] = (char)(i * 40503u >> 7);
    }
    expect_status(call("SET %s %b", "v", value, size), "OK");
    expect_bytes(call("GET v"), value, size);
    expect_integer(call("STRLEN v"), (long long)size);
    expect_bytes(call("ECHO %b", value, size), value, size);
    expect_bytes(call("GETSET v %b", other, size), value, size);
    expect_bytes(call("SET v %b GET", value, size), other, size);
    expect_bytes(call("GETRANGE v 0 -1"), value, size);
    expect_integer(call("APPEND v %b", other, size), 2 * (long long)size);
    expect_bytes(call("GETRANGE v %d -1", (int)size), other, size);
    expect_integer(call("SETRANGE w 0 %b", value, size), (long long)size);
    expect_status(call("SETEX x 100000 %b", value, size), "OK");
    expect_status(call("PSETEX y 100000000 %b", value, size), "OK");
    expect_bytes(call("GETEX x PERSIST"), value, size);
    expect_integer(call("TTL x"), -1);
    expect_integer(call("SETNX z %b", value, size), 1);
    expect_integer(call("SETNX z %b", other, size), 0);
    expect_bytes(call("GETDEL z"), value, size);
    expect_nil(call("GET z"));
    expect_integer(call("DEL v x y"), 3);
    call("DEL w");
    free(value);
    free(other);
}

static void the_rest(void) {
    expect_status(call("FLUSHALL"), "OK");
    expect_status(call("PING"), "PONG");
    expect_bytes(call("PING hello"), "hello", 5);
    expect_integer(call("INCR n"), 1);
    expect_integer(call("INCRBY n 41"), 42);
    expect_integer(call("DECR n"), 41);
    expect_integer(call("DECRBY n 40"), 1);
    expect_bytes(call("INCRBYFLOAT n 0.5"), "1.5", 3);
    expect_error(call("INCR n"), "ERR value is not an integer or out of range");
    expect_integer(call("EXISTS n n none"), 2);
    expect_status(call("TYPE n"), "string");
    expect_status(call("TYPE none"), "none");
    expect_integer(call("EXPIRE n 100000"), 1);
    expect_remaining(call("TTL n"), 100000);
    expect_integer(call("PERSIST n"), 1);
    expect_integer(call("PEXPIRE none 100"), 0);
    expect_integer(call("DBSIZE"), 1);
    expect_status(call("SELECT 1"), "OK");
    expect_integer(call("DBSIZE"), 0);
    expect_status(call("SELECT 0"), "OK");
    expect_error(call("SELECT 100000"), "ERR");
    expect_error(call("NOSUCH a b"), "ERR unknown command");
    expect_status(call("CLIENT SETNAME hiredis"), "OK");
    expect_bytes(call("CLIENT GETNAME"), "hiredis", 7);
    redisReply *reply = call("TIME");
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) fail("TIME", reply);
    freeReplyObject(reply);
    reply = call("CONFIG GET port");
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) fail("CONFIG GET", reply);
    freeReplyObject(reply);
    reply = call("INFO");
    if (reply->type != REDIS_REPLY_STRING || strstr(reply->str, "redis_version:") == NULL) fail("INFO", reply);
    freeReplyObject(reply);
    expect_integer(call("UNLINK n"), 1);
}

static void expect_type(const char *command, int type, size_t at_least) {
    redisReply *reply = call(command);
    size_t found = type == REDIS_REPLY_ARRAY ? reply->elements : (size_t)reply->len;
    if (reply->type != type || (type != REDIS_REPLY_INTEGER && found < at_least)) fail(command, reply);
    freeReplyObject(reply);
}

// Deadlines as instants, and the commands about the connection, the server and its commands.
static void about_itself(void) {
    expect_status(call("SET k v"), "OK");
    expect_integer(call("EXPIREAT k 4000000000"), 1);
    expect_integer(call("EXPIRETIME k"), 4000000000LL);
    expect_integer(call("PEXPIREAT k 4000000000500"), 1);
    expect_integer(call("PEXPIRETIME k"), 4000000000500LL);
    expect_integer(call("EXPIREAT k 4000000001 LT"), 0);
    expect_type("PTTL k", REDIS_REPLY_INTEGER, 0);
    expect_type("HELLO 2", REDIS_REPLY_ARRAY, 14);
    expect_type("COMMAND", REDIS_REPLY_ARRAY, 40);
    expect_type("COMMAND COUNT", REDIS_REPLY_INTEGER, 0);
    expect_type("COMMAND INFO get set", REDIS_REPLY_ARRAY, 2);
    expect_type("COMMAND DOCS get", REDIS_REPLY_ARRAY, 2);
    expect_type("COMMAND LIST", REDIS_REPLY_ARRAY, 40);
    redisReply *keys = call("COMMAND GETKEYS DEL a b");
    if (keys->type != REDIS_REPLY_ARRAY || keys->elements != 2 || strcmp(keys->element[1]->str, "b")) fail("keys", keys);
    freeReplyObject(keys);
    expect_type("CLIENT ID", REDIS_REPLY_INTEGER, 0);
    expect_type("CLIENT INFO", REDIS_REPLY_STRING, 20);
    expect_type("CLIENT LIST", REDIS_REPLY_STRING, 20);
    expect_status(call("CLIENT NO-EVICT ON"), "OK");
    expect_integer(call("CLIENT KILL ID 999999999"), 0);
    redisReply *info = call("INFO server");
    if (strstr(info->str, "apus_version:") != NULL) {  // Redis has these since 7.2.
        expect_status(call("CLIENT SETINFO lib-name hiredis"), "OK");
        expect_status(call("CLIENT NO-TOUCH ON"), "OK");
    }
    freeReplyObject(info);
    redisAppendCommand(context, "CLIENT REPLY SKIP");
    redisAppendCommand(context, "PING");
    expect_bytes(call("ECHO heard"), "heard", 5);
    expect_status(call("CLIENT REPLY ON"), "OK");
    expect_status(call("CONFIG SET maxclients 9999"), "OK");
    expect_status(call("CONFIG SET maxclients 10000"), "OK");
    expect_status(call("FLUSHDB"), "OK");
    expect_integer(call("DBSIZE"), 0);
    expect_status(call("RESET"), "RESET");
    expect_nil(call("CLIENT GETNAME"));
}

static void pipelined(int count) {
    for (int i = 0; i < count; i++) {
        redisAppendCommand(context, "SET key:%d value:%d", i, i);
        redisAppendCommand(context, "GET key:%d", i);
    }
    for (int i = 0; i < count; i++) {
        redisReply *reply = NULL;
        char text[32];
        if (redisGetReply(context, (void **)&reply) != REDIS_OK) fail("pipeline", NULL);
        expect_status(reply, "OK");
        if (redisGetReply(context, (void **)&reply) != REDIS_OK) fail("pipeline", NULL);
        expect_bytes(reply, text, (size_t)snprintf(text, sizeof text, "value:%d", i));
    }
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    context = redisConnectWithTimeout(argv[1], atoi(argv[2]), (struct timeval){60, 0});
    if (context == NULL || context->err) fail("connect", NULL);
    redisSetTimeout(context, (struct timeval){60, 0});
    for (int i = 3; i < argc; i++) values((size_t)atoll(argv[i]));
    the_rest();
    about_itself();
    pipelined(20000);
    expect_status(call("QUIT"), "OK");
    redisFree(context);
    return 0;
}
