mod http;
mod shapes;
mod story;
mod world;
