insert into watermark_topic (epoch) values ($1) on conflict do nothing
