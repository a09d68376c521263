select from watermark_topic where epoch = $1
