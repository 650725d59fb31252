"""Where aligned crops have the centres of both eyes, the nose tip and the mouth corners, x and y; the right ones first.

Right is the person's own right, the left side of the picture.
"""

FFHQ_FIVE = ((192.98, 239.95), (318.90, 240.19), (256.63, 314.02), (201.26, 371.41), (313.09, 371.15))
"""The means over FFHQ's faces of 512 pixels (Karras et al. 2019)."""
INSIGHTFACE_FIVE = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))
"""Crops of 112 pixels, which most recognition networks since 2017 are trained on."""
DLIB_FIVE = ((0.22549, 0.21599), (0.75476, 0.21599), (0.490127, 0.515625), (0.254149, 0.780233), (0.726104, 0.780233))
"""dlib's crops, in units of the box of brows, eyes, nose and mouth."""
DLIB_PADDING = 0.25
"""Margin of dlib's crops on each side, in that unit."""
